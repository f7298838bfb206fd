import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performAction } from '../../api/operations/actions.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { agent, openTestRuns, user, type TestRuns } from './open.ts';

const steps = (events: readonly IndexedEvent[]) =>
  events.map(({ entry }) => [entry.phase, entry.action, entry.outcome ?? '-'].join(' '));

describe('a guarded action', () => {
  let test: TestRuns;
  beforeAll(async () => {
    test = await openTestRuns();
    await test.work();
  });
  afterAll(() => test.close());

  it('is decided, attempted with the values before, carried out once and read back, each step recorded ahead', async () => {
    const { runId, correlationId } = await test.run();
    const view = await performAction(test.as(agent), {
      runId,
      tool: 'hubspot.writeNote',
      params: { note: 'first', text: 'hello' },
    });
    expect(view).toMatchObject({ state: 'SUCCEEDED', outcome: 'success', attempts: 1 });
    expect(test.vendor.effects).toEqual([{ note: 'first', text: 'hello', action: view.id }]);
    const events = await test.entries(view.id);
    expect(steps(events)).toEqual([
      'intent record.update -',
      'decision authorization.decide success',
      'decision authorization.decide success',
      'attempt record.update -',
      'outcome record.update success',
      'verified record.update success',
    ]);
    expect(events.map(({ entry }) => entry.emitter.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(new Set(events.map(({ entry }) => entry.correlationId))).toEqual(new Set([correlationId]));
    expect(events.map(({ entry }) => entry.authorization?.about)).toEqual([
      undefined,
      'agent',
      'user',
      undefined,
      undefined,
      undefined,
    ]);
    expect(events[3]!.entry).toMatchObject({ onBehalfOf: user, credential: { id: 'notebook' } });
    expect(events[3]!.parts).toMatchObject({ sent: { state: 'present', content: { text: 'hello' } } });
    expect(test.vendor.calls[0]).toMatchObject({ correlation: correlationId });
  });
});
