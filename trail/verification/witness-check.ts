/** What witnesses know of the log, beside the log: checkpoints that they cosigned, and what they last stated. */
import { createHash } from 'node:crypto';
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { mongoAnchor } from '../anchor.ts';
import { controlDatabase, majority } from '../database.ts';
import type { CosignatureDocument } from '../witness/cosignatures.ts';
import { findWitnessPolicy } from '../witness/policy.ts';
import { contradicting, WitnessStatements } from '../witness/statements.ts';
import { openAnchored } from './signed-roots.ts';
import type { Walked } from './record-walk.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface WitnessesWalked extends Pick<Walked, 'looked' | 'differences'> {
  /** Id of the last cosignature that was looked at; undefined when all were. */
  readonly next: string | undefined;
}

/** Looks at `cosignaturesMax` cosignatures after `after`; `size`: of the checkpoint that is checked. */
export const walkWitnesses = async (
  log: VerifiedLog,
  { after, size, cosignaturesMax }: { after: string | undefined; size: number; cosignaturesMax: number },
): Promise<WitnessesWalked> => {
  const cosignatures = log.client.db(controlDatabase).collection<CosignatureDocument>('cosignatures', majority);
  const page = await cosignatures
    .find({ _id: { $gt: after ?? `${log.origin}#`, $lt: `${log.origin}$` } })
    .sort({ _id: 1 })
    .limit(cosignaturesMax)
    .toArray();
  const differences: Difference[] = [];
  for (const [cosigned, group] of Map.groupBy(page, (document) => document.size))
    differences.push(...(await differencesAt(log, cosigned, group, size)));
  const last = page.length < cosignaturesMax ? undefined : page.at(-1)!._id;
  if (last === undefined) differences.push(...(await statements(log)));
  return { next: last, looked: { ...lookedAtNothing, checkpoints: page.length }, differences };
};

const differencesAt = async (
  log: VerifiedLog,
  cosigned: number,
  group: readonly CosignatureDocument[],
  size: number,
): Promise<Difference[]> => {
  const place = `witness/${cosigned}`;
  const [anchored] = await mongoAnchor(log.client).from(log.origin, cosigned, 1);
  if (!anchored && cosigned > size) return [{ kind: 'witness-ahead', store: 'witness', index: size, place }];
  const own = anchored && anchored.size === cosigned ? openAnchored(log, anchored) : undefined;
  // One that is not ours is said where the anchored checkpoints are looked at.
  if (own && 'kind' in own) return [];
  for (const { note } of group) {
    const theirs = openAnchored(log, { size: cosigned, note, segment: 0 });
    if (own && 'root' in theirs && Buffer.compare(theirs.root, own.root) === 0) continue;
    const kind = 'kind' in theirs ? theirs.kind : 'witness-inconsistent';
    return [{ kind, store: 'witness', index: Math.max(0, cosigned - 1), place }];
  }
  return [];
};

/** What those of the policy last said against the log, unsigned. */
const statements = async ({ client, instance, origin }: VerifiedLog): Promise<Difference[]> => {
  const policy = await findWitnessPolicy(client, instance);
  if (!policy) return [];
  const found = await contradicting(new WitnessStatements(client), origin, policy);
  return found.map(({ vkey, statement }) => ({
    kind: statement.kind === 'ahead' ? 'witness-ahead' : 'witness-inconsistent',
    store: 'witness',
    ...(statement.size > 0 && { index: statement.size - 1 }),
    place: `witness/${createHash('sha256').update(vkey).digest('hex').slice(0, 16)}`,
  }));
};
