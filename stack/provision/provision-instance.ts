/**
 * Sets an instance up through its own log: every principal, identity, policy, version, delegation, token and connector is a
 * control entry first. A second call adds nothing, and completes what a crash cut off.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { ControlState } from '../../store/control-state.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import type { Trail } from '../../trail/trail.ts';
import { changeEntry, type WantedChange } from './change-entry.ts';
import {
  missingDelegations,
  missingIdentities,
  missingPolicies,
  missingPrincipals,
  missingVersions,
} from './missing-changes.ts';
import { missingConnectors } from './missing-connectors.ts';
import { missingTokens, type TokenSecrets } from './missing-tokens.ts';
import type { InstanceSpec } from './spec.ts';

export interface ProvisionInstanceOptions {
  readonly clients: {
    /** Makes secrets and stages credentials. Where the specification has no connectors, the appender can do it as well. */
    readonly applier: MongoClient;
    readonly reader: MongoClient;
  };
  readonly keys: KeyProvider;
  readonly trail: Trail;
  /** Its control tail must be running, in this process or another. */
  readonly state: ControlState;
  readonly spec: InstanceSpec;
  /** What is kept of the tokens, by their names in the specification. */
  readonly knownTokens: TokenSecrets;
  /** Keeps the secrets, durably, before they are issued: they can't be had again. Called only where one is new. */
  readonly keepTokens: (secrets: TokenSecrets) => Promise<void>;
  readonly nowMs: () => number;
  /** For the applier to follow, each time. */
  readonly waitMs?: number;
}

export interface ProvisionedInstance {
  readonly tokens: TokenSecrets;
  /** Entries that this call appended. */
  readonly appended: number;
}

/** A change of the specification that the applier found void, or that does not come about. */
export class ProvisionError extends Error {
  override readonly name = 'ProvisionError';
  readonly code = 'PROVISION_FAILED';
}

/** What is missing after so many rounds won't come. Two are the rule: one that adds, one that finds nothing missing. */
const roundsMax = 5;
const waitMsDefault = 30_000;
const retryMs = 500;

/** Throws ProvisionError, and TrailError where the trail or the applier is away. */
export const provisionInstance = async (options: ProvisionInstanceOptions): Promise<ProvisionedInstance> => {
  const { trail, keepTokens, nowMs } = options;
  const secrets = new Secrets(trail.instance, options.keys, options.clients.applier);
  let tokens = options.knownTokens;
  let appended = 0;
  for (let round = 1; ; round += 1) {
    await waitForApplier(options);
    const missing = await missingOf(options, secrets, tokens);
    if (Object.entries(missing.tokens).some(([name, secret]) => tokens[name] !== secret))
      await keepTokens(missing.tokens);
    tokens = missing.tokens;
    if (missing.changes.length === 0) return { tokens, appended };
    if (round === roundsMax) throw notComing(missing.changes);
    appended += await append(options, missing.changes, nowMs());
  }
};

const missingOf = async (options: ProvisionInstanceOptions, secrets: Secrets, known: TokenSecrets) => {
  const { spec, state, clients, trail, nowMs } = options;
  const tokens = await missingTokens(spec, known, clients.reader, trail.instance, nowMs());
  const changes = [
    ...(await missingPrincipals(spec, state)),
    ...(await missingIdentities(spec, secrets, clients.reader, trail.instance)),
    ...(await missingPolicies(spec, state)),
    ...(await missingVersions(spec, state)),
    ...(await missingDelegations(spec, clients.reader, trail.instance, nowMs())),
    ...tokens.changes,
    ...(await missingConnectors(spec, state, secrets, clients.applier)),
  ];
  return { changes, tokens: tokens.secrets };
};

/** What was acknowledged before is in the state, so that nothing is taken for missing that is only on its way. */
const waitForApplier = async ({ trail, state, waitMs = waitMsDefault }: ProvisionInstanceOptions): Promise<void> => {
  const size = await trail.reader.size();
  if (size > 0) await state.waitApplied(size - 1, waitMs);
};

const append = async (
  { trail, state, waitMs = waitMsDefault }: ProvisionInstanceOptions,
  changes: readonly WantedChange[],
  nowMs: number,
): Promise<number> => {
  const events = changes.map((wanted) => changeEntry(trail.instance, wanted, nowMs));
  const results = await trail.writer.append(events, 'platform');
  let appended = 0;
  for (const [position, result] of results.entries()) {
    if (result.status === 'refused') {
      // The id comes from the change, so what stands there is this change, recorded at another moment of the day.
      if (result.refusal.code === 'ID_CONFLICT') continue;
      throw new ProvisionError(`${changes[position]!.change.change} was refused: ${result.refusal.message}`);
    }
    if (result.status === 'accepted') appended += 1;
    await state.waitApplied(result.receipt.index, waitMs);
    const reason = await state.voidReason(result.receipt.index);
    if (reason !== undefined)
      throw new ProvisionError(`${changes[position]!.change.change} has no effect: ${reason.message}`);
  }
  // Nothing was appended: the entries are there, and the applier is on its way to them.
  if (appended === 0) await delay(retryMs);
  return appended;
};

const notComing = (changes: readonly WantedChange[]): Error => {
  const names = [...new Set(changes.map(({ change }) => change.change))].join(', ');
  return new ProvisionError(
    `the instance still lacks ${names} after ${roundsMax} rounds; look for control.void entries`,
  );
};
