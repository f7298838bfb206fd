/**
 * What is asked of a witness and what it answers, c2sp.org/tlog-witness, `add-checkpoint`. A witness cosigns a checkpoint
 * only together with a proof that it continues the last one that it cosigned.
 */
import { TreeError, requireSize } from './errors.ts';

/** The specification's limit for a request. */
export const proofLinesMax = 63;

export interface AddCheckpoint {
  /** Size that the witness cosigned last, 0 for none. */
  readonly oldSize: number;
  /** Consistency proof from `oldSize` to the checkpoint's size; empty where either is 0 or both are equal. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint. */
  readonly checkpoint: Uint8Array;
}

/** Body of the request. */
export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Buffer {
  requireSize(oldSize, 'old size');
  if (proof.length > proofLinesMax)
    throw new TreeError('PROOF_MALFORMED', `a request has at most ${proofLinesMax} hashes, got ${proof.length}`);
  const lines = [`old ${oldSize}`, ...proof.map((hash) => Buffer.from(hash).toString('base64'))];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`), checkpoint]);
}

/** The size in the body of a 409 (`text/x.tlog.size`); undefined where it is none. */
export function parseTlogSize(body: string): number | undefined {
  const size = /^(0|[1-9][0-9]*)\n$/.exec(body)?.[1];
  return size !== undefined && Number.isSafeInteger(Number(size)) ? Number(size) : undefined;
}
