/**
 * The server's own check of a whole log. Counted, not recorded; one at a time in a process, since it costs a core. That of a
 * large log is another thread's, so that this one goes on answering.
 */
import { encodeBundle } from '../../domain/tree/bundle.ts';
import { tileWidth } from '../../domain/tree/tiles.ts';
import type { VerificationReport } from '../../domain/verify/report.ts';
import { threadsFor, verifyLog as verify, type EntryChunk } from '../../domain/verify/verifyLog.ts';
import type { TileReader } from '../../domain/verify/tileTree.ts';
import { TrailError } from '../../trail/errors.ts';
import type { TrailReader } from '../../trail/reader.ts';
import type { Trail } from '../../trail/trail.ts';
import { ApiError, notFound } from '../errors.ts';

const entriesPerRead = 2048;
/** Anchored checkpoints that are looked at besides the latest, evenly spread. */
const olderCheckpoints = 8;

let running = false;

export const verifyLog = async (
  trail: Trail,
  { entriesMax, signal }: { readonly entriesMax: number; readonly signal: AbortSignal },
): Promise<VerificationReport> => {
  // Not opened yet: one that nobody of ours signed is what the verification is to name.
  const latest = await trail.reader.checkpoint();
  if (!latest) throw notFound('checkpoint: the log is empty');
  if (latest.size > entriesMax)
    throw new ApiError(
      'QUERY_TOO_COSTLY',
      `the log has ${latest.size} entries, more than the ${entriesMax} that a request checks; use "trailkeeper verify"`,
    );
  if (running) throw new ApiError('QUEUE_FULL', 'another log is being checked; ask again in a moment');
  running = true;
  try {
    const { reader, origin, instance } = trail;
    return await verify(
      {
        checkpoint: Buffer.from(latest.note),
        entries: ({ size }) => readAll(reader, size, signal),
        ...((await hasEdge(reader, latest.size)) && { tiles: tilesOf(reader) }),
        olderCheckpoints: await older(reader, latest.size),
      },
      { keys: await trail.signing.keys(), origin, instance, schema: false, threads: threadsFor(1) },
    );
  } finally {
    running = false;
  }
};

/** A tile that can't be had, since the record does not hold what it is made of, is left out. */
const tilesOf =
  ({ tiles }: TrailReader): TileReader =>
  ({ level, index, width }) =>
    tiles.hashes(level, index, width).catch((error: unknown) => {
      if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT') return undefined;
      throw error;
    });

/** Where the record lacks the last entries, nothing hangs together: the entries themselves then tell which are missing. */
const hasEdge = async (reader: TrailReader, size: number): Promise<boolean> => {
  const width = size % tileWidth;
  const tile = { kind: 'hashes', level: 0, index: Math.floor(size / tileWidth), width } as const;
  return width === 0 || (await tilesOf(reader)(tile)) !== undefined;
};

async function* readAll(reader: TrailReader, size: number, signal: AbortSignal): AsyncIterable<EntryChunk> {
  for (let firstIndex = 0; firstIndex < size; firstIndex += entriesPerRead) {
    signal.throwIfAborted();
    const count = Math.min(entriesPerRead, size - firstIndex);
    // What the record does not hold is left out, and the verification names where that begins.
    const entries = await reader.tiles.entriesAsFarAs(firstIndex, count);
    yield { firstIndex, count, bundle: encodeBundle(entries) };
    if (entries.length < count) return;
  }
}

const older = async (reader: TrailReader, size: number): Promise<Buffer[]> => {
  const notes = new Map<number, string>();
  for (let step = 1; step <= olderCheckpoints; step += 1) {
    const covering = await reader.checkpointCovering(Math.ceil((size * step) / (olderCheckpoints + 1)));
    if (covering && covering.size < size) notes.set(covering.size, covering.note);
  }
  return [...notes.values()].map((note) => Buffer.from(note));
};
