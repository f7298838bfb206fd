/**
 * The control state of one instance, as readers see it: what the control applier made of the log's control entries.
 * Every call asks MongoDB, so that a revocation or the kill flag counts at once in every process.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { PolicySet } from '../domain/access/policy-set.ts';
import type { VersionKind } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import type { System } from '../schema/taxonomy.ts';
import { TrailError } from '../trail/errors.ts';
import { tailsOf } from '../trail/projection.ts';
import type { VoidReason } from './change.ts';
import { findConnector, type ConnectorConfig } from './connectors.ts';
import { findDelegation, type Delegation } from './delegations.ts';
import { findSwitch, findVoid } from './instances.ts';
import { findPolicySetInForce } from './policies.ts';
import { findPrincipal, type Principal } from './principals.ts';
import { findVersion, findVersionInForce, type PublishedVersion } from './versions.ts';

export type { PolicySet, ConnectorConfig, Delegation, Principal, PublishedVersion, VoidReason };

export interface ControlState {
  readonly instance: InstanceId;
  /** Index of the last control entry dealt with, -1 for none; and the first index that the applier has not looked at. */
  applied(): Promise<{ epoch: number; next: number }>;
  /** Waits until every control entry up to `index` is applied. Throws TrailError TRAIL_UNAVAILABLE after `waitMs`. */
  waitApplied(index: number, waitMs: number): Promise<void>;
  /** Why the control entry at this index had no effect; undefined where it was applied. For the last 100 voids. */
  voidReason(index: number): Promise<VoidReason | undefined>;
  /** The kill flag. */
  suspended(): Promise<boolean>;
  principal(id: string): Promise<Principal | undefined>;
  /** The newest delegation between the two that is in force at this time. */
  delegation(from: string, to: string, at: Date): Promise<Delegation | undefined>;
  policySet(): Promise<PolicySet | undefined>;
  versionInForce(kind: VersionKind, name: string): Promise<PublishedVersion | undefined>;
  version(kind: VersionKind, name: string, version: string): Promise<PublishedVersion | undefined>;
  connector(system: System): Promise<ConnectorConfig | undefined>;
}

/** Name of the applier among the tails. */
export const controlTail = 'control';

const pollMs = 10;

export const openControlState = (client: MongoClient /* reader duty */, instance: InstanceId): ControlState => {
  const applied = async (): Promise<{ epoch: number; next: number }> => {
    // The cursor first: it moves after the epoch, so the two never claim more than was done.
    const cursor = await tailsOf(client, instance).findOne({ _id: controlTail });
    const { epoch } = await findSwitch(client, instance);
    return { epoch, next: cursor?.next ?? 0 };
  };
  return {
    instance,
    applied,
    async waitApplied(index, waitMs) {
      const deadline = performance.now() + waitMs;
      for (;;) {
        const { epoch, next } = await applied();
        if (epoch >= index || next > index) return;
        if (performance.now() >= deadline)
          throw new TrailError(
            'TRAIL_UNAVAILABLE',
            `control entries up to ${index} were not applied within ${waitMs} ms (applied: ${epoch}); try again`,
          );
        await delay(pollMs);
      }
    },
    voidReason: (index) => findVoid(client, instance, index),
    suspended: async () => (await findSwitch(client, instance)).suspended,
    principal: (id) => findPrincipal(client, instance, id),
    delegation: (from, to, at) => findDelegation(client, instance, from, to, at),
    policySet: () => findPolicySetInForce(client, instance),
    versionInForce: (kind, name) => findVersionInForce(client, instance, kind, name),
    version: (kind, name, version) => findVersion(client, instance, kind, name, version),
    connector: (system) => findConnector(client, instance, system),
  };
};
