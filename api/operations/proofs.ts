/** Checkpoints and proofs of one log, for whoever checks it without us. */
import { createHash } from 'node:crypto';
import { parseCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseNote } from '../../domain/tree/note.ts';
import { consistencyProof as buildConsistency, inclusionProof as buildInclusion } from '../../domain/tree/proof.ts';
import { formatTlogProof } from '../../domain/tree/tlogProof.ts';
import { leafHash } from '../../domain/tree/hash.ts';
import type { EventId } from '../../schema/ids.ts';
import type { Trail } from '../../trail/trail.ts';
import { ApiError, notFound } from '../errors.ts';
import { findEvent } from './query.ts';

/** The latest checkpoint. Throws NOT_FOUND while the log is empty. */
export const latestCheckpoint = async ({ reader }: Trail): Promise<{ size: number; root: Buffer; note: string }> => {
  const opened = await reader.openedCheckpoint();
  if (!opened) throw notFound('checkpoint: the log is empty');
  return opened;
};

/** The checkpoint for outsiders, with the cosignatures of its witnesses. Throws NOT_FOUND while the log is empty. */
export const servedCheckpoint = async ({ witnessed }: Trail): Promise<{ size: number; root: Buffer; note: string }> => {
  const served = await witnessed.served();
  if (!served) throw notFound('checkpoint: the log is empty');
  return { size: served.size, root: rootOfNote(served.note), note: served.note };
};

/** The size that is served, unless it is too small for what is asked: then that of the latest checkpoint. */
const usualSize = async (trail: Trail, atLeast: number, latest: number): Promise<number> => {
  const { size } = await servedCheckpoint(trail);
  return size >= atLeast ? size : latest;
};

const sizeWithin = (asked: number, size: number, name: string): number => {
  if (asked < 1 || asked > size)
    throw new ApiError('BAD_INPUT', `${name} must be from 1 to ${size}, the size of the latest checkpoint`);
  return asked;
};

export interface InclusionRequest {
  readonly index?: number | null | undefined;
  readonly event?: EventId | null | undefined;
  readonly size?: number | null | undefined;
}

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly entry: Buffer;
  /** Hex. */
  readonly leafHash: string;
  readonly hashes: Buffer[];
  readonly checkpoint: string | null;
  readonly tlogProof: string | null;
}

export const inclusionProof = async (trail: Trail, request: InclusionRequest): Promise<Inclusion> => {
  const { reader } = trail;
  const { index: asked, event } = request;
  const given = (value: unknown) => value !== undefined && value !== null;
  if (given(asked) === given(event))
    throw new ApiError('BAD_INPUT', 'name the entry by index or by event, one of the two');
  const index = asked ?? (await findEvent(reader, event!)).index;
  const latest = await latestCheckpoint(trail);
  if (index >= latest.size) throw notFound('entry');
  const size = sizeWithin(request.size ?? (await usualSize(trail, index + 1, latest.size)), latest.size, 'size');
  if (index >= size) throw new ApiError('BAD_INPUT', `the tree of ${size} entries has no entry ${index}`);
  const [entry] = await reader.tiles.entries(index, 1);
  const hashes = await buildInclusion(index, size, reader.tiles.subtrees());
  const covering = size === latest.size ? latest : await reader.checkpointCovering(size);
  const checkpoint = covering?.size === size ? (await trail.witnessed.cosigned(covering)).note : null;
  return {
    index,
    size,
    entry: entry!,
    leafHash: leafHash(entry!).toString('hex'),
    hashes,
    checkpoint,
    tlogProof:
      checkpoint === null
        ? null
        : formatTlogProof({ index, hashes, checkpoint: Buffer.from(checkpoint) }).toString('utf8'),
  };
};

export const consistencyProof = async (
  trail: Trail,
  request: { readonly from: number; readonly to?: number | null | undefined },
): Promise<{ from: number; to: number; hashes: Buffer[] }> => {
  const latest = await latestCheckpoint(trail);
  const to = sizeWithin(request.to ?? (await usualSize(trail, request.from, latest.size)), latest.size, 'to');
  const from = sizeWithin(request.from, to, 'from');
  const hashes = from === to ? [] : await buildConsistency(from, to, trail.reader.tiles.subtrees());
  return { from, to, hashes };
};

/** Root of a signed note that we anchored ourselves; its signature is checked elsewhere. */
export const rootOfNote = (note: string): Buffer => parseCheckpoint(parseNote(Buffer.from(note)).text).root;

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
