/**
 * Brings one witness up to one checkpoint of one log. Where the witness last was is taken from its cosignatures that are kept, else
 * from its own word (409). A crash anywhere leaves nothing behind but a witness that is further than is kept here: the
 * next submission learns that from a 409.
 */
import { parseCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseNote } from '../../domain/tree/note.ts';
import { consistencyProof } from '../../domain/tree/proof.ts';
import type { KeptCheckpoint } from '../anchor.ts';
import type { TileReader } from '../tile-reader.ts';
import { addCheckpoint, type WitnessClientOptions, type WitnessFailure } from './client.ts';
import type { Cosignatures, KeptCosignature } from './cosignatures.ts';
import type { ConfiguredWitness } from './policy.ts';

export type Submission =
  | { readonly kind: 'cosigned'; readonly cosignature: KeptCosignature }
  /** The witness cosigned a log of `size` entries; ours has fewer, now too. */
  | { readonly kind: 'ahead'; readonly size: number }
  /** Ours does not continue the log of `size` entries that it cosigned. */
  | { readonly kind: 'inconsistent'; readonly size: number }
  | { readonly kind: 'failed'; readonly failure: WitnessFailure };

export interface SubmissionParts {
  readonly origin: string;
  readonly cosignatures: Cosignatures;
  readonly tiles: TileReader;
  /** The newest anchored checkpoint as of now. */
  readonly newest: () => Promise<KeptCheckpoint | undefined>;
  readonly client: WitnessClientOptions;
}

/** The witness may be somewhere else than told, and then once more because another process submits as well. */
const attemptsMax = 4;

/** Throws where MongoDB can't be read or written. */
export const submit = async (
  witness: ConfiguredWitness,
  checkpoint: KeptCheckpoint,
  parts: SubmissionParts,
): Promise<Submission> => {
  const { origin, cosignatures, tiles, newest, client } = parts;
  const last = await cosignatures.lastBy(origin, witness.key);
  let current = checkpoint;
  // What it cosigned may have been submitted by another process since this checkpoint was read.
  if (last && last.size > current.size) current = (await newest()) ?? current;
  // Its own signature says so: it need not be asked.
  if (last && last.size > current.size) return { kind: 'ahead', size: last.size };
  if (last && last.size === current.size && !sameRoot(last.note, current.note))
    return { kind: 'inconsistent', size: last.size };
  let oldSize = last?.size ?? 0;
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const { size } = current;
    const proof = oldSize > 0 && oldSize < size ? await consistencyProof(oldSize, size, tiles.subtrees()) : [];
    const answer = await addCheckpoint(witness, { oldSize, proof, checkpoint: Buffer.from(current.note) }, client);
    if (answer.kind === 'cosigned') {
      const cosignature = { ...answer.cosignature, size, note: current.note };
      await cosignatures.add(origin, cosignature);
      return { kind: 'cosigned', cosignature };
    }
    if (answer.kind === 'failed') return answer;
    if (answer.kind === 'unproven') return { kind: 'inconsistent', size: oldSize };
    // It names the very size that was sent: then it is the roots of that size that differ.
    if (answer.size === oldSize)
      return oldSize === size ? { kind: 'inconsistent', size } : { kind: 'failed', failure: 'MALFORMED' };
    oldSize = answer.size;
    if (oldSize <= size) continue;
    // Another process may have submitted a larger checkpoint meanwhile.
    current = (await newest()) ?? current;
    if (oldSize > current.size) return { kind: 'ahead', size: oldSize };
  }
  return { kind: 'failed', failure: 'REFUSED' };
};

const sameRoot = (a: string, b: string): boolean => rootOf(a).equals(rootOf(b));
const rootOf = (note: string): Buffer => parseCheckpoint(parseNote(Buffer.from(note)).text).root;
