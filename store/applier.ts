/**
 * Applies the control entries of each instance's log to the control state: in order, one at a time, each exactly once in
 * effect. It is a tail, so it goes on after a crash where it stopped, and may be given entries again:
 *   1. entries up to the epoch were dealt with, and are passed over;
 *   2. the state is looked at and a plan is made: one write, or a void;
 *   3. the epoch is read again: if it moved, another applier is ahead, and the plan is dropped;
 *   4. the write (it does nothing where the document knows this entry or a later one), or the record of the void;
 *   5. the epoch moves to the entry; at the end of the batch the runner moves the tail's cursor.
 * A crash after 4 repeats 2 to 4 on the same state, so with the same result.
 */
import type { MongoClient } from 'mongodb';
import { isControlEntry } from '../domain/entry.ts';
import { controlChange, type ControlChange } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import type { Tail, TailedBatch, TailedEntry } from '../trail/tails/tail.ts';
import { planArchiveDemand } from './archives.ts';
import { controlTail } from './control-state.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { planConfiguration, planConnectorDisabling } from './connectors.ts';
import { planGrant, planRevocation } from './delegations.ts';
import { EntryParts } from './entry-parts.ts';
import { planMapping, planUnmapping } from './identities.ts';
import { planContinuation } from './former-logs.ts';
import { advanceEpoch, ensureSwitch, findSwitch, planSwitch } from './instances.ts';
import { planKeyDestruction, planKeyRetirement, planKeyRotation } from './keyrings.ts';
import { planPolicies } from './policies.ts';
import { planDisabling, planRegistration } from './principals.ts';
import { planIssue, planTokenRevocation } from './tokens.ts';
import { planPublication } from './versions.ts';
import { planWitnesses } from './witnesses.ts';
import type { VoidedEntry } from './voids.ts';

/**
 * `onVoid` records that an entry has no effect, and raises the alarm (store/voids.ts). It may be called again for the
 * same entry after a crash; while it fails, no later entry is applied.
 */
export const createControlTail = (
  client: MongoClient /* applier duty */,
  keys: KeyProvider,
  onVoid: (voided: VoidedEntry) => Promise<void>,
): Tail => {
  const parts = new EntryParts(client, keys);
  return {
    name: controlTail,
    client,
    async apply(batch) {
      const control = batch.entries.filter(({ entry }) => isControlEntry(entry));
      if (control.length === 0) return;
      await ensureSwitch(client, batch.instance);
      for (const entry of control) await applyEntry(entry, batch, { client, parts, onVoid });
    },
  };
};

interface Applier {
  readonly client: MongoClient;
  readonly parts: EntryParts;
  readonly onVoid: (voided: VoidedEntry) => Promise<void>;
}

const applyEntry = async (
  { index, entry, segment }: TailedEntry,
  { instance }: TailedBatch,
  { client, parts, onVoid }: Applier,
): Promise<void> => {
  if (await isDealtWith(client, instance, index)) return;
  // Recorded, but as something that did not come about.
  if (entry.outcome !== undefined && entry.outcome !== 'success') return advanceEpoch(client, instance, index);
  const plan = await planOf({
    client,
    instance,
    index,
    entry,
    secrets: parts.secretsOf(instance),
    part: (name) => parts.content(instance, { index, entry, segment }, name),
  });
  // Looked at after the state was: had another applier gone on, the state might be that of a later entry.
  if (await isDealtWith(client, instance, index)) return;
  if (plan.kind === 'write') {
    await plan.write();
    await advanceEpoch(client, instance, index);
  } else {
    await onVoid({ instance, index, entry, reason: plan.reason });
    await advanceEpoch(client, instance, index, plan.reason);
  }
};

const isDealtWith = async (client: MongoClient, instance: InstanceId, index: number): Promise<boolean> =>
  (await findSwitch(client, instance)).epoch >= index;

const planOf = async (applied: AppliedEntry): Promise<Plan> => {
  const parsed = controlChange.safeParse(applied.entry.control);
  if (!parsed.success) return toVoid('INVALID_REQUEST', 'the entry does not say what is changed');
  if (parsed.data.change !== applied.entry.action)
    return toVoid('INVALID_REQUEST', `the entry is a ${applied.entry.action} but describes a ${parsed.data.change}`);
  return planChange(applied, parsed.data);
};

const planChange = (applied: AppliedEntry, change: ControlChange): Plan | Promise<Plan> => {
  switch (change.change) {
    case 'principal.register':
      return planRegistration(applied, change);
    case 'principal.disable':
      return planDisabling(applied, change);
    case 'identity.map':
      return planMapping(applied, change);
    case 'identity.unmap':
      return planUnmapping(applied, change);
    case 'token.issue':
      return planIssue(applied, change);
    case 'token.revoke':
      return planTokenRevocation(applied, change);
    case 'delegation.grant':
      return planGrant(applied, change);
    case 'delegation.revoke':
      return planRevocation(applied, change);
    case 'policy.publish':
      return planPolicies(applied, change);
    case 'version.publish':
      return planPublication(applied, change);
    case 'connector.configure':
      return planConfiguration(applied, change);
    case 'connector.disable':
      return planConnectorDisabling(applied, change);
    case 'archive.configure':
      return planArchiveDemand(applied, change);
    case 'log.continue':
      return planContinuation(applied, change);
    case 'witness.configure':
      return planWitnesses(applied, change);
    case 'key.rotate':
      return planKeyRotation(applied, change);
    case 'key.retire':
      return planKeyRetirement(applied, change);
    case 'key.destroy':
      return planKeyDestruction(applied, change);
    case 'instance.suspend':
      return planSwitch(applied, true);
    case 'instance.resume':
      return planSwitch(applied, false);
    case 'evidence.key':
      // Nothing follows from it here: whoever verifies a pack reads the entry itself.
      return toWrite(async () => undefined);
    default:
      return change satisfies never;
  }
};
