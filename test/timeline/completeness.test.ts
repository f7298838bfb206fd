import { assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, RecordedEvent } from '../../schema/event.ts';
import type { EventId, RunId } from '../../schema/ids.ts';
import type { Outcome } from '../../schema/taxonomy.ts';
import { checkCompleteness, type MissingReason } from '../../domain/completeness.ts';
import { writeAction, type ActionPlan } from '../diagnosis/guardedAction.ts';
import { buildIncident, faults } from '../diagnosis/incidents.ts';
import { randomFrom } from '../diagnosis/random.ts';
import { emitterStatesOf, RecordWriter, type Draft } from '../diagnosis/recordWriter.ts';

const agent = { principal: 'agent-a', kind: 'agent' } as const;

/** One action step by step; `emitter` is the action's own from the intent on. */
const record = () => {
  const writer = new RecordWriter(randomFrom(1));
  const run = { correlationId: writer.correlation(), runId: writer.id() as string as RunId };
  const intent = writer.id();
  const base = {
    ...run,
    emitter: `platform/action/${intent}`,
    actor: agent,
    system: 'salesforce',
    action: 'record.update',
  } as const;
  const write = (draft: Partial<Draft> & Pick<Entry, 'phase'>): EventId => writer.write({ ...base, ...draft }).entry.id;
  write({ id: intent, phase: 'intent' });
  return { writer, write, intent };
};

const check = (log: readonly RecordedEvent[], states = emitterStatesOf(log)) => checkCompleteness(log, states);

const missingIn = (log: readonly RecordedEvent[], states = emitterStatesOf(log)): readonly MissingReason[] => {
  const result = check(log, states);
  return result.state === 'COMPLETE' ? [] : result.missing;
};

describe('an intent', () => {
  it.each<{ outcome: Outcome; complete: boolean }>([
    { outcome: 'success', complete: true },
    { outcome: 'failure', complete: true },
    { outcome: 'denied', complete: true },
    { outcome: 'pending', complete: false },
    { outcome: 'unknown', complete: false },
    { outcome: 'retry', complete: false },
  ])('with the outcome $outcome after an attempt: complete is $complete', ({ outcome, complete }) => {
    const { writer, write, intent } = record();
    const attempt = write({ phase: 'attempt', attempt: 1, causedBy: intent });
    write({ phase: 'outcome', outcome, causedBy: attempt });
    expect(check(writer.log).state).toBe(complete ? 'COMPLETE' : 'INCOMPLETE');
    expect(missingIn(writer.log)).toMatchObject(complete ? [] : [{ kind: 'no-final-outcome', intent, last: outcome }]);
  });

  it('without anything after it lacks an outcome', () => {
    const { writer, intent } = record();
    expect(missingIn(writer.log)).toMatchObject([{ kind: 'no-final-outcome', intent, last: 'none' }]);
  });

  it('that was denied before any attempt is complete', () => {
    const { writer, write, intent } = record();
    write({ phase: 'outcome', outcome: 'denied', error: { code: 'POLICY_DENIED' }, causedBy: intent });
    expect(check(writer.log).state).toBe('COMPLETE');
  });

  it('that waits for approval is pending', () => {
    const { writer, write, intent } = record();
    write({ action: 'approval.request', phase: 'decision', outcome: 'pending', causedBy: intent });
    expect(missingIn(writer.log)).toMatchObject([{ kind: 'no-final-outcome', last: 'pending' }]);
  });

  it('is complete when the attempt after a retry has a final outcome, and not before', () => {
    const { writer, write, intent } = record();
    const first = write({ phase: 'attempt', attempt: 1, causedBy: intent });
    const retry = write({ phase: 'outcome', outcome: 'retry', causedBy: first });
    const second = write({ phase: 'attempt', attempt: 2, causedBy: retry });
    expect(missingIn(writer.log)).toMatchObject([{ last: 'none' }]);
    write({ phase: 'outcome', outcome: 'success', causedBy: second });
    expect(check(writer.log).state).toBe('COMPLETE');
  });

  it.each<{ how: string; entry: Partial<Draft> & Pick<Entry, 'phase'>; complete: boolean }>([
    {
      how: 'action.settle',
      entry: { action: 'action.settle', phase: 'outcome', outcome: 'failure', emitter: 'platform/api' },
      complete: true,
    },
    { how: 'a later outcome', entry: { phase: 'outcome', outcome: 'success' }, complete: true },
    { how: 'reading back', entry: { phase: 'verified', outcome: 'success' }, complete: true },
    {
      how: 'action.settle that found nothing out',
      entry: { action: 'action.settle', phase: 'outcome', outcome: 'unknown' },
      complete: false,
    },
  ])('of unknown outcome, followed by $how: complete is $complete', ({ entry, complete }) => {
    const { writer, write, intent } = record();
    const attempt = write({ phase: 'attempt', attempt: 1, causedBy: intent });
    const unknown = write({ phase: 'outcome', outcome: 'unknown', causedBy: attempt });
    write({ ...entry, causedBy: unknown });
    expect(check(writer.log).state).toBe(complete ? 'COMPLETE' : 'INCOMPLETE');
  });

  it('is not complete by reading back alone, where no outcome is recorded', () => {
    const { writer, write, intent } = record();
    const attempt = write({ phase: 'attempt', attempt: 1, causedBy: intent });
    write({ phase: 'verified', outcome: 'success', causedBy: attempt });
    expect(missingIn(writer.log)).toMatchObject([{ kind: 'no-final-outcome', intent, last: 'none' }]);
  });

  it('of the platform is not completed by what an agent reports', () => {
    const { writer, write, intent } = record();
    const reported = { emitter: 'agent/a', provenance: 'reported' } as const;
    write({ ...reported, phase: 'outcome', outcome: 'success', causedBy: intent });
    write({
      ...reported,
      emitter: `platform/action/${intent}`,
      phase: 'outcome',
      outcome: 'success',
      causedBy: intent,
    });
    expect(missingIn(writer.log)).toMatchObject([{ kind: 'no-final-outcome', intent, last: 'none' }]);
  });

  it('that an agent reported is completed by its own report', () => {
    const { writer, write, intent } = record();
    write({ phase: 'outcome', outcome: 'denied', causedBy: intent });
    const reported = { emitter: 'agent/a', provenance: 'reported', action: 'tool.call', system: 'agent' } as const;
    const call = write({ ...reported, phase: 'intent' });
    expect(missingIn(writer.log)).toMatchObject([{ kind: 'no-final-outcome', intent: call }]);
    write({ ...reported, phase: 'outcome', outcome: 'success', causedBy: call });
    expect(check(writer.log).state).toBe('COMPLETE');
  });

  it('that is missing itself is named', () => {
    const { writer, write, intent } = record();
    write({ phase: 'outcome', outcome: 'success', causedBy: intent });
    const log = writer.log.slice(1);
    expect(missingIn(log, emitterStatesOf(writer.log))).toContainEqual({ kind: 'no-intent', intent });
  });
});

describe('a bulk step', () => {
  const bulk = (objects: number) => {
    const writer = new RecordWriter(randomFrom(objects));
    const random = randomFrom(objects);
    const run = { correlationId: writer.correlation(), runId: writer.id() as string as RunId };
    const facts = { run, agent: 'agent-a', user: 'user-a', delegation: 'dlg', versions: {}, policySet: 'acme' };
    const plan: ActionPlan = {
      system: 'salesforce',
      action: 'record.update',
      objects,
      credential: { id: 'cred', version: 1 },
      logical: ['name'],
      retries: 0,
    };
    const opened = writer.write({
      ...run,
      emitter: 'platform/run',
      action: 'run.open',
      phase: 'outcome',
      actor: agent,
    });
    const intent = writeAction(writer, random, facts, plan, opened.entry.id);
    return { log: writer.log, intent: intent.entry.id };
  };
  const without = (log: readonly RecordedEvent[], which: (entry: Entry) => boolean) =>
    log.filter(({ entry }) => !which(entry));

  it('is complete with an attempt and an outcome for every object', () => {
    expect(check(bulk(7).log)).toEqual({ state: 'COMPLETE' });
  });

  it.each(['attempt', 'outcome'] as const)(
    'names the objects without an %s, and the numbers that are not held',
    (phase) => {
      const { log, intent } = bulk(7);
      const gone = (entry: Entry) => entry.phase === phase && [2, 3, 6].includes(entry.batch?.position ?? -1);
      const missing = missingIn(without(log, gone), emitterStatesOf(log));
      expect(missing).toContainEqual(
        expect.objectContaining({
          kind: 'objects',
          intent,
          lacks: phase,
          positions: [
            [2, 3],
            [6, 6],
          ],
        }),
      );
      expect(missing.map(({ kind }) => kind)).toContain('entries-not-held');
    },
  );

  it('counts an object of unknown outcome as missing', () => {
    const { log, intent } = bulk(3);
    const events = log.map((event) =>
      event.entry.phase === 'outcome' && event.entry.batch?.position === 1
        ? { ...event, entry: { ...event.entry, outcome: 'unknown' as const } }
        : event,
    );
    expect(missingIn(events)).toMatchObject([{ kind: 'objects', intent, lacks: 'outcome', positions: [[1, 1]] }]);
  });

  it('names a call of which only the objects are held', () => {
    const { log, intent } = bulk(4);
    const isCall = (entry: Entry) => entry.phase === 'attempt' && entry.batch === undefined;
    const attempt = log.find(({ entry }) => isCall(entry))!.entry.id;
    const missing = missingIn(without(log, isCall), emitterStatesOf(log));
    expect(missing).toContainEqual({ kind: 'no-attempt', intent, attempt, objects: 4 });
  });

  it('notices steps that were never attempted although nothing failed', () => {
    const { log, intent } = bulk(4);
    const events = log.map((event) =>
      event.entry.id === intent ? { ...event, entry: { ...event.entry, count: 6 } } : event,
    );
    expect(missingIn(events)).toEqual([{ kind: 'objects-never-attempted', intent, expected: 6, attempted: 4 }]);
  });
});

describe('the emitters of a run', () => {
  it('have no gap up to the highest number that the run holds; later gaps are not the run’s', () => {
    const { log } = buildIncident(3, 'nothing-deviates', { noise: false });
    const states = emitterStatesOf(log);
    const agentEmitter = [...states.keys()].find((id) => id.startsWith('agent/'))!;
    const high = states.get(agentEmitter)!.high;
    const later = new Map([
      ...states,
      [agentEmitter, { high: high + 9, missing: [[high + 2, high + 4]], truncated: null }] as const,
    ]);
    expect(check(log, later)).toEqual({ state: 'COMPLETE' });
    const earlier = new Map([...states, [agentEmitter, { high, missing: [[2, 3]], truncated: null }] as const]);
    expect(missingIn(log, earlier)).toEqual([
      { kind: 'emitter-gap', emitter: agentEmitter, ranges: [[2, 3]], truncated: null },
    ]);
    const truncated = new Map([...states, [agentEmitter, { high, missing: [], truncated: [2, 999] }] as const]);
    expect(missingIn(log, truncated)).toEqual([
      { kind: 'emitter-gap', emitter: agentEmitter, ranges: [], truncated: [2, high] },
    ]);
  });

  it('are said to be unknown where their state is not given', () => {
    const { writer } = record();
    expect(missingIn(writer.log, new Map()).at(-1)).toMatchObject({ kind: 'emitter-unknown' });
  });

  it('make a run complete exactly when nothing was taken from it, but for the tail of a shared emitter', () => {
    const complete = ['nothing-deviates', ...faults.policy] as const;
    assert(
      property(
        integer({ min: 0, max: 1e9 }),
        constantFrom(...complete),
        integer({ min: 0, max: 1e6 }),
        (seed, fault, which) => {
          const { input } = buildIncident(seed, fault);
          expect(checkCompleteness(input.events, input.emitterStates)).toEqual({ state: 'COMPLETE' });
          const guarded = input.events.filter(({ entry }) => entry.emitter.id.startsWith('platform/action/'));
          const gone = guarded[which % guarded.length]!;
          const events = input.events.filter((event) => event !== gone);
          const result = checkCompleteness(events, input.emitterStates);
          const { id, sequence } = gone.entry.emitter;
          expect(result.state === 'INCOMPLETE' && result.missing).toContainEqual({
            kind: 'entries-not-held',
            emitter: id,
            ranges: [[sequence, sequence]],
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});
