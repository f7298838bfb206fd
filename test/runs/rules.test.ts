import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admissions } from '../../domain/action/admission.ts';
import { eventIdOf, spanOf } from '../../domain/action/entryIds.ts';
import { outcomeOfFailure, type CallKind } from '../../domain/action/outcome.ts';
import { retryDelayMs } from '../../domain/action/retry.ts';
import { formatTraceparent, parseTraceparent } from '../../domain/traceContext.ts';
import { errorCodes } from '../../schema/taxonomy.ts';
import { eventIdPattern, eventIdTimeMs, spanIdPattern, type EventId } from '../../schema/ids.ts';

const kinds = fc.record({
  effect: fc.constantFrom('read', 'write', 'irreversible'),
  idempotency: fc.constantFrom('key', 'conditional', 'none'),
}) as fc.Arbitrary<CallKind>;
const failures = fc.record({
  code: fc.constantFrom(...errorCodes),
  tookEffect: fc.constantFrom<('no' | 'unknown')[]>('no', 'unknown'),
});
const positions = fc.record({
  attempt: fc.integer({ min: 1, max: 5 }),
  attemptsMax: fc.integer({ min: 1, max: 5 }),
  repeated: fc.boolean(),
});

describe('after a call that failed', () => {
  it('another is made only where it can do no harm', () => {
    fc.assert(
      fc.property(failures, kinds, positions, (failure, kind, position) => {
        if (outcomeOfFailure(failure, kind, position) !== 'retry') return;
        const harmless = kind.effect === 'read' || kind.idempotency === 'key';
        const certainlyNothing = failure.tookEffect === 'no' && !position.repeated;
        expect(harmless || certainlyNothing).toBe(true);
        expect(position.attempt).toBeLessThan(position.attemptsMax);
      }),
    );
  });

  it('a write that may have happened is never called a failure', () => {
    fc.assert(
      fc.property(failures, kinds, positions, (failure, kind, position) => {
        const mayHaveHappened = failure.tookEffect === 'unknown' || position.repeated;
        fc.pre(kind.effect !== 'read' && mayHaveHappened);
        expect(outcomeOfFailure(failure, kind, position)).not.toBe('failure');
      }),
    );
  });

  it('the next one waits for twice as long each time, and never less than the vendor asks for', () => {
    const limits = { retryMs: 100, retryMsMax: 1000 };
    expect([1, 2, 3, 4, 5, 900].map((attempt) => retryDelayMs(attempt, undefined, limits))).toEqual([
      100, 200, 400, 800, 1000, 1000,
    ]);
    expect(retryDelayMs(1, 5000, limits)).toBe(5000);
    expect(retryDelayMs(5, 10, limits)).toBe(1000);
  });
});

describe('a run', () => {
  const ids = fc.uniqueArray(
    fc
      .tuple(fc.integer({ min: 0, max: 2 ** 47 }), fc.uuid({ version: 4 }))
      .map(([time, uuid]) => eventIdOf(time, uuid)),
    { maxLength: 50 },
  );

  it('knows the actions that it admitted, and no others, however often it continued as new', () => {
    fc.assert(
      fc.property(ids, ids, (admitted, others) => {
        const first = new Admissions(1000, '', false);
        for (const id of admitted) first.admit(id);
        const next = new Admissions(1000, first.carry(), false);
        expect(next.count).toBe(admitted.length);
        for (const id of admitted) expect(next.knows(id)).toBe(true);
        for (const id of others.filter((other) => !admitted.includes(other))) expect(next.knows(id)).toBe(false);
        expect(next.carry()).toBe(first.carry());
      }),
    );
  });

  it('tells apart ids that differ in a single digit', () => {
    const id = '01890a5d-ac96-774b-bcce-b302099a8057';
    const admissions = new Admissions(10, '', false);
    admissions.admit(id as EventId);
    for (let at = 0; at < id.length; at += 1) {
      if (id[at] === '-') continue;
      const other = `${id.slice(0, at)}${id[at] === '0' ? '1' : '0'}${id.slice(at + 1)}` as EventId;
      expect(admissions.knows(other)).toBe(false);
    }
  });

  it('admits what it knows, also when it is full or closed', () => {
    const admissions = new Admissions(1, '', false);
    const [a, b] = [1, 2].map((time) => eventIdOf(time, '11111111-1111-4111-8111-111111111111')) as [EventId, EventId];
    admissions.admit(a);
    expect([admissions.refusal(a), admissions.refusal(b)]).toEqual([undefined, 'BUDGET_EXCEEDED']);
    admissions.closed = true;
    expect([admissions.refusal(a), admissions.refusal(b)]).toEqual([undefined, 'RUN_CLOSED']);
  });
});

describe('ids that a workflow makes', () => {
  it('are UUIDv7 of its time, and their spans are spans', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.uuid({ version: 4 }), (timeMs, uuid) => {
        const id = eventIdOf(timeMs, uuid);
        expect(id).toMatch(eventIdPattern);
        expect(eventIdTimeMs(id)).toBe(timeMs);
        expect(spanOf(id)).toMatch(spanIdPattern);
      }),
    );
  });
});

describe('a traceparent', () => {
  it('is read as it was written, and nothing else is', () => {
    const text = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(formatTraceparent(parseTraceparent(text)!)).toBe(text);
    for (const wrong of [
      `${text}-more`,
      text.toUpperCase(),
      text.replace('00-', '01-'),
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
      7,
      undefined,
    ])
      expect(parseTraceparent(wrong)).toBeUndefined();
  });
});
