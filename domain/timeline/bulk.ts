/** Bulk entries, one an object, summarised under their parent so that 300 rows can be shown as one. */
import type { RecordedEvent } from '../../schema/event.ts';
import type { EventId } from '../../schema/ids.ts';
import type { ErrorCode, Outcome } from '../../schema/taxonomy.ts';
import { rangesNotHeld, type SequenceRange } from '../emitters.ts';

export interface BulkSummary {
  readonly parent: EventId;
  /** How many objects the entries themselves say that there are. */
  readonly size: number;
  /** How many different objects have an entry. */
  readonly present: number;
  /** Positions (from 0) without an entry. */
  readonly absent: readonly SequenceRange[];
  /** Entries by outcome; entries without one are not counted here. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  readonly errors: Readonly<Partial<Record<ErrorCode, number>>>;
}

export const summariseBulk = (events: readonly RecordedEvent[]): ReadonlyMap<EventId, BulkSummary> => {
  const children = new Map<EventId, RecordedEvent[]>();
  for (const event of events) {
    const parent = event.entry.batch?.parent;
    if (parent === undefined) continue;
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [event]);
    else known.push(event);
  }
  return new Map([...children].map(([parent, own]) => [parent, summarise(parent, own)]));
};

const summarise = (parent: EventId, own: readonly RecordedEvent[]): BulkSummary => {
  const positions = new Set<number>();
  const outcomes: Partial<Record<Outcome, number>> = {};
  const errors: Partial<Record<ErrorCode, number>> = {};
  let size = 0;
  for (const { entry } of own) {
    positions.add(entry.batch!.position);
    size = Math.max(size, entry.batch!.size);
    if (entry.outcome !== undefined) outcomes[entry.outcome] = (outcomes[entry.outcome] ?? 0) + 1;
    if (entry.error !== undefined) errors[entry.error.code] = (errors[entry.error.code] ?? 0) + 1;
  }
  return { parent, size, present: positions.size, absent: absentPositions(positions, size), outcomes, errors };
};

/** Positions count from 0, sequences from 1. */
export const absentPositions = (positions: ReadonlySet<number>, size: number): SequenceRange[] =>
  rangesNotHeld(
    [...positions].map((position) => position + 1),
    size,
  ).map(([from, to]) => [from - 1, to - 1] as const);
