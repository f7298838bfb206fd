import { array, assert, boolean, integer, property, record as fields } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, RecordedEvent } from '../../schema/event.ts';
import type { CorrelationId, EventId, InstanceId, PrincipalId, SpanId } from '../../schema/ids.ts';
import { buildTimeline, type TimelineRow } from '../../domain/timeline/timeline.ts';
import { buildIncident, faults } from '../diagnosis/incidents.ts';
import { randomFrom } from '../diagnosis/random.ts';

const idOf = (n: number): EventId => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}` as EventId;
const spanOf = (n: number): SpanId => (n + 1).toString(16).padStart(16, '0') as SpanId;
const at = (ms: number): string => new Date(Date.UTC(2026, 10, 24) + ms).toISOString();

/** Event number n at log index n, emitted by itself unless said otherwise. */
const event = (n: number, entry: Partial<Entry> = {}): RecordedEvent => ({
  index: n,
  entry: {
    v: 1,
    instance: 'acme' as InstanceId,
    id: idOf(n),
    correlationId: 'c'.repeat(32) as CorrelationId,
    spanId: spanOf(n),
    emitter: { id: `emitter/${n}`, sequence: 1 },
    actor: { principal: 'agent-a' as PrincipalId, kind: 'agent' },
    phase: 'observation',
    system: 'agent',
    eventTime: at(n),
    receivedTime: at(n),
    provenance: 'platform',
    action: 'tool.call',
    retentionClass: 'operational',
    parts: [],
    ...entry,
  },
});

const indexes = (rows: readonly TimelineRow[]): number[] => rows.map((row) => row.event.index);

describe('the order of a timeline', () => {
  it('puts a cause before its effect, although it arrived later and its clock is ahead', () => {
    const effect = event(1, { causedBy: idOf(2), eventTime: at(10) });
    const cause = event(2, { eventTime: at(5000), receivedTime: at(5000) });
    const { rows } = buildTimeline([effect, cause]);
    expect(indexes(rows)).toEqual([2, 1]);
    expect(rows[1]).toMatchObject({ parent: idOf(2), depth: 1, flags: ['before-cause'] });
  });

  it('follows parent spans and the sequence of each emitter', () => {
    const parent = event(3, { phase: 'intent' });
    const child = event(1, { parentSpanId: parent.entry.spanId });
    const second = event(4, { emitter: { id: 'e', sequence: 2 }, eventTime: at(0) });
    const first = event(5, { emitter: { id: 'e', sequence: 1 }, eventTime: at(9) });
    const rows = buildTimeline([child, parent, second, first]).rows;
    expect(indexes(rows).indexOf(3)).toBeLessThan(indexes(rows).indexOf(1));
    expect(indexes(rows).indexOf(5)).toBeLessThan(indexes(rows).indexOf(4));
    expect(rows.find((row) => row.event.index === 1)).toMatchObject({ parent: parent.entry.id, depth: 1 });
  });

  it('orders what is causally free by event time with the skew taken out, then by log index', () => {
    const slow = { id: 'slow', sequence: 1 };
    const skewed = event(1, { emitter: slow, eventTime: at(-60_000), receivedTime: at(30) });
    const earlier = event(2, { eventTime: at(10), receivedTime: at(10) });
    const tie = event(3, { eventTime: at(10), receivedTime: at(10) });
    const { rows, emitters } = buildTimeline([tie, earlier, skewed]);
    expect(indexes(rows)).toEqual([2, 3, 1]);
    expect(emitters.find(({ emitter }) => emitter === 'slow')).toEqual({ emitter: 'slow', skewMs: 60_030, count: 1 });
    expect(rows[2]).toMatchObject({ eventTime: at(-60_000), receivedTime: at(30), correctedTime: at(30) });
  });

  it('estimates skew by the median, so that one late arrival does not matter', () => {
    const events = [100, 110, 90, 3_600_000, 100].map((delayMs, n) =>
      event(n, { emitter: { id: 'e', sequence: n + 1 }, receivedTime: at(n + delayMs) }),
    );
    expect(buildTimeline(events).emitters).toEqual([{ emitter: 'e', skewMs: 100, count: 5 }]);
  });

  it('is the same whatever the order in which the entries are given, and gives each one once', () => {
    assert(
      property(integer(), integer({ min: 0, max: 1e9 }), (shuffle, seed) => {
        const { events } = buildIncident(seed, 'outdated-mapping').input;
        const shuffled = randomFrom(shuffle).shuffled([...events, ...events.slice(0, 3)]);
        expect(buildTimeline(shuffled)).toEqual(buildTimeline(events));
        expect(buildTimeline(events).rows).toHaveLength(events.length);
      }),
      { numRuns: 30 },
    );
  });

  it('never puts an effect above its cause, in any incident with skewed clocks and late arrivals', () => {
    assert(
      property(integer({ min: 0, max: 1e9 }), integer({ min: 0, max: 99 }), (seed, which) => {
        const all = Object.values(faults).flat();
        const { rows, problems } = buildTimeline(buildIncident(seed, all[which % all.length]!).input.events);
        const place = new Map(rows.map((row, n) => [row.event.entry.id as string, n]));
        const own = new Map<string, number>();
        for (const [
          n,
          {
            event: { entry },
            parent,
            depth,
          },
        ] of rows.entries()) {
          const causes = [entry.causedBy, entry.batch?.parent].filter((cause) => cause !== undefined);
          for (const cause of causes) expect(place.get(cause)).toBeLessThan(n);
          expect(entry.emitter.sequence).toBeGreaterThan(own.get(entry.emitter.id) ?? 0);
          own.set(entry.emitter.id, entry.emitter.sequence);
          expect(depth).toBe(parent === null ? 0 : rows[place.get(parent)!]!.depth + 1);
        }
        expect(problems).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a record that contradicts itself', () => {
  it('keeps every entry and names those in a circle of causes', () => {
    const events = [
      event(0),
      event(1, { causedBy: idOf(3) }),
      // Their times say the opposite: what is left of the causes still counts.
      event(2, { causedBy: idOf(1), receivedTime: at(-10) }),
      event(3, { causedBy: idOf(2), receivedTime: at(-20) }),
      event(4, { causedBy: idOf(3) }),
    ];
    const { rows, problems } = buildTimeline(events);
    expect(indexes(rows)).toEqual([0, 1, 2, 3, 4]);
    expect(problems).toEqual([{ kind: 'contradictory-order', events: [idOf(1), idOf(2), idOf(3)] }]);
    expect(rows.filter(({ flags }) => flags.includes('contradictory')).map((row) => row.event.index)).toEqual([
      1, 2, 3,
    ]);
  });

  it('believes a stated cause rather than a sequence', () => {
    const first = event(1, { emitter: { id: 'e', sequence: 1 }, causedBy: idOf(2) });
    const second = event(2, { emitter: { id: 'e', sequence: 2 } });
    expect(indexes(buildTimeline([first, second]).rows)).toEqual([2, 1]);
  });

  it('takes an entry that names itself as its cause for a root', () => {
    expect(buildTimeline([event(1, { causedBy: idOf(1) })]).rows).toMatchObject([{ depth: 0, parent: null }]);
  });

  it('reports causes, batches and spans that are not there, and makes their effects roots', () => {
    const events = [
      event(1, { causedBy: idOf(90) }),
      event(2, { parentSpanId: spanOf(91) }),
      event(3, { parentSpanId: spanOf(91) }),
      event(4, { batch: { parent: idOf(92), position: 0, size: 2 } }),
    ];
    const { rows, problems } = buildTimeline(events);
    expect(rows.map(({ depth, parent }) => [depth, parent])).toEqual(events.map(() => [0, null]));
    expect(problems).toEqual([
      { kind: 'dangling-cause', event: idOf(1), missing: idOf(90) },
      { kind: 'dangling-batch', parent: idOf(92), objects: 1 },
      { kind: 'dangling-span', span: spanOf(91), children: 2 },
    ]);
    expect(rows[0]!.flags).toEqual(['dangling-cause']);
  });

  it('never loses, doubles or endlessly follows anything, whatever the causes say', () => {
    const shape = fields({
      cause: integer({ min: 0, max: 30 }),
      span: integer({ min: 0, max: 30 }),
      shared: boolean(),
    });
    assert(
      property(array(shape, { maxLength: 25 }), (shapes) => {
        const events = shapes.map(({ cause, span, shared }, n) =>
          event(n, {
            causedBy: idOf(cause),
            parentSpanId: spanOf(span),
            emitter: { id: shared ? 'shared' : `own/${n}`, sequence: shared ? 30 - n : 1 },
          }),
        );
        const { rows } = buildTimeline(events);
        expect(indexes(rows).toSorted((a, b) => a - b)).toEqual(events.map(({ index }) => index));
        const place = new Map(rows.map((row, n) => [row.event.entry.id, n]));
        const below = rows.filter(({ parent }, n) => parent !== null && place.get(parent)! >= n);
        expect(below).toEqual([]);
      }),
    );
  });
});

describe('bulk objects', () => {
  it('fold under their parent, with counts, errors and the positions that are absent', () => {
    const parent = event(1);
    const object = (n: number, position: number, entry: Partial<Entry>) =>
      event(n, { causedBy: idOf(1), batch: { parent: idOf(1), position, size: 5 }, phase: 'outcome', ...entry });
    const { rows } = buildTimeline([
      parent,
      object(2, 0, { outcome: 'success' }),
      object(3, 1, { outcome: 'failure', error: { code: 'NOT_FOUND' } }),
      object(4, 4, { outcome: 'success' }),
    ]);
    expect(rows[0]!.bulk).toEqual({
      parent: idOf(1),
      size: 5,
      present: 3,
      absent: [[2, 3]],
      outcomes: { success: 2, failure: 1 },
      errors: { NOT_FOUND: 1 },
    });
    expect(rows.slice(1).map(({ foldedUnder, depth }) => [foldedUnder, depth])).toEqual(
      Array.from({ length: 3 }, () => [idOf(1), 1]),
    );
  });
});

describe('flags', () => {
  it('warn of reports, of erased content and of what the entry itself was flagged with', () => {
    const flagged = event(1, { provenance: 'reported', flags: ['skew-past'] });
    const { rows } = buildTimeline([{ ...flagged, parts: { text: { state: 'erased' } } }]);
    expect(rows[0]!.flags).toEqual(['skew-past', 'reported', 'erased']);
  });
});

describe('a long run', () => {
  it('of 10,000 entries in one deep chain is ordered in linear-like time', () => {
    const size = 10_000;
    const chain = (length: number) =>
      Array.from({ length }, (_, n) =>
        event(n, { emitter: { id: 'e', sequence: n + 1 }, ...(n > 0 ? { causedBy: idOf(n - 1) } : {}) }),
      );
    const timed = (events: readonly RecordedEvent[]) => {
      const startMs = performance.now();
      const { rows } = buildTimeline(events);
      return { rows, tookMs: performance.now() - startMs };
    };
    timed(chain(1000));
    const { rows, tookMs } = timed(randomFrom(1).shuffled(chain(size)));
    expect(rows.at(-1)).toMatchObject({ depth: size - 1, event: { index: size - 1 } });
    // Quadratic work on 10,000 entries takes far longer than this on any machine.
    expect(tookMs).toBeLessThan(5000);
  });
});
