/** Puts an instance's witnesses in force: which ones, and how many must cosign within which time. */
import { parseCosignerVkey, type CosignerKey } from '../domain/tree/cosignature.ts';
import { TreeError } from '../domain/tree/errors.ts';
import { quorumProblem } from '../domain/tree/witnessPolicy.ts';
import type { ControlChange } from '../schema/control.ts';
import { writtenNow } from '../trail/database.ts';
import type { WitnessesDocument } from '../trail/witness/policy.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection, putUnlessNewer } from './newest-entry.ts';

export type WitnessConfiguration = Extract<ControlChange, { change: 'witness.configure' }>;

/** Why a configuration can't come into force; undefined where it can. */
export const configurationProblem = ({ witnesses, threshold }: WitnessConfiguration): string | undefined => {
  const keys: CosignerKey[] = [];
  for (const [position, { vkey }] of witnesses.entries()) {
    try {
      keys.push(parseCosignerVkey(vkey));
    } catch (error) {
      if (error instanceof TreeError) return `the key of witness ${position + 1} can't be used: ${error.message}`;
      throw error;
    }
  }
  return quorumProblem({ witnesses: keys, threshold });
};

/** Replaces the whole policy. One that does not hold together never comes into force: the one before it stays. */
export const planWitnesses = ({ client, instance, index, entry }: AppliedEntry, change: WitnessConfiguration): Plan => {
  const problem = configurationProblem(change);
  if (problem !== undefined) return toVoid('INVALID_REQUEST', problem);
  const { witnesses, threshold, withinMs } = change;
  return toWrite(() =>
    putUnlessNewer(controlCollection<WitnessesDocument>(client, 'witnesses'), {
      _id: instance,
      instance,
      index,
      witnesses: witnesses.map(({ vkey, url }) => ({ vkey, url })),
      threshold,
      withinMs,
      since: new Date(entry.receivedTime),
      at: writtenNow,
    }),
  );
};
