/** The server's own check of a whole log. Counted, not recorded; one at a time in a process, since it costs a core. */
import { encodeBundle } from '../../domain/tree/bundle.ts';
import type { VerificationReport } from '../../domain/verify/report.ts';
import { verifyLog as verify, type EntryChunk } from '../../domain/verify/verifyLog.ts';
import { TrailError } from '../../trail/errors.ts';
import type { TrailReader } from '../../trail/reader.ts';
import type { Trail } from '../../trail/trail.ts';
import { ApiError } from '../errors.ts';
import { latestCheckpoint } from './proofs.ts';

const entriesPerRead = 2048;
/** Anchored checkpoints that are looked at besides the latest, evenly spread. */
const olderCheckpoints = 8;

let running = false;

export const verifyLog = async (
  trail: Trail,
  { entriesMax, signal }: { readonly entriesMax: number; readonly signal: AbortSignal },
): Promise<VerificationReport> => {
  const latest = await latestCheckpoint(trail);
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
        tiles: ({ level, index, width }) => reader.tiles.hashes(level, index, width),
        olderCheckpoints: await older(reader, latest.size),
      },
      { keys: await trail.signing.keys(), origin, instance, schema: false },
    );
  } finally {
    running = false;
  }
};

async function* readAll(reader: TrailReader, size: number, signal: AbortSignal): AsyncIterable<EntryChunk> {
  for (let firstIndex = 0; firstIndex < size; firstIndex += entriesPerRead) {
    signal.throwIfAborted();
    const count = Math.min(entriesPerRead, size - firstIndex);
    const entries = await reader.tiles.entries(firstIndex, count).catch((error: unknown) => {
      if (error instanceof TrailError && error.code === 'LOG_INCONSISTENT') return undefined;
      throw error;
    });
    // What the record does not hold is left out, and the verification names it.
    if (!entries) return;
    yield { firstIndex, count, bundle: encodeBundle(entries) };
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
