/** A log with many runs in it, written through the log's own writer, as benchmarks of reading need it. */
import type { CorrelationId, EventId } from '../../schema/ids.ts';
import type { EventInput } from '../../schema/event.ts';
import type { Trail } from '../../trail/trail.ts';
import { benchEvent, newRun } from './events.ts';

export const runEvents = 100;
/** Runs that are under way at the same time: their events alternate in the log. */
export const runsAtOnce = 50;
const batchSize = 2000;
/** The four entries of a guarded action, each caused by the one before. */
const phasesOfAction = ['intent', 'decision', 'attempt', 'outcome'] as const;

/** The events of `runsAtOnce` runs, in the order in which they happen. */
const interleavedRuns = (): { correlations: CorrelationId[]; events: EventInput[] } => {
  const runs = Array.from({ length: runsAtOnce }, (_, number) => newRun(`agent-${process.pid}-${number}-${made++}`));
  const last = new Map<string, EventId>();
  const events: EventInput[] = [];
  for (let sequence = 1; sequence <= runEvents; sequence += 1) {
    for (const run of runs) {
      const causedBy = last.get(run.emitter);
      const phase = phasesOfAction[(sequence - 1) % phasesOfAction.length]!;
      const event = benchEvent({ run, sequence, phase, ...(causedBy && { causedBy }) });
      last.set(run.emitter, event.id);
      events.push(event);
    }
  }
  return { correlations: runs.map(({ correlationId }) => correlationId), events };
};
let made = 0;

/** At least so many events. Two batches are on their way at a time, so that the writer never waits for us. */
export async function fillLog(trail: Trail, events: number, say: (line: string) => void): Promise<CorrelationId[]> {
  const correlations: CorrelationId[] = [];
  let waiting: EventInput[] = [];
  let before: Promise<void> = Promise.resolve();
  const append = async (batch: readonly EventInput[]) => {
    const results = await trail.writer.append(batch, 'platform');
    const other = results.find(({ status }) => status !== 'accepted');
    if (other) throw new Error(`an event was not accepted: ${JSON.stringify(other)}`);
  };
  /** Sends whole batches, until fewer than `leave` events wait. */
  const send = async (leave: number) => {
    while (waiting.length >= leave) {
      const sent = append(waiting.slice(0, batchSize));
      waiting = waiting.slice(batchSize);
      await before;
      before = sent;
    }
  };
  while (correlations.length * runEvents < events) {
    const group = interleavedRuns();
    correlations.push(...group.correlations);
    waiting.push(...group.events);
    await send(batchSize);
    const count = correlations.length * runEvents;
    if (count % 100_000 < group.events.length) say(`  ${count.toLocaleString('en-US')} events are in the log`);
  }
  await send(1);
  await before;
  return correlations;
}

export interface FilledLog {
  readonly correlations: readonly CorrelationId[];
  readonly events: number;
}

/** Fills the log of an instance whose tails run, until all of it is indexed. */
export async function fillAndIndex(trail: Trail, events: number, say: (line: string) => void): Promise<FilledLog> {
  say(`  filling a log with ${events.toLocaleString('en-US')} events`);
  const correlations = await fillLog(trail, events, say);
  for (let behind = await trail.reader.fresh(5000); behind > 0; behind = await trail.reader.fresh(5000))
    say(`  the index is ${behind.toLocaleString('en-US')} events behind`);
  return { correlations, events: correlations.length * runEvents };
}
