import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performAction, settleAction } from '../../api/operations/actions.ts';
import { decideAction } from '../../api/operations/approvals.ts';
import { handOff } from '../../api/operations/handoffs.ts';
import { closeRun } from '../../api/operations/runs.ts';
import { actionWorkflowId, runWorkflowId } from '../../domain/action/contract.ts';
import type { EventId, PrincipalId, RunId } from '../../schema/ids.ts';
import { createCodec } from '../../stack/temporal/codec.ts';
import { temporalKeys } from '../../stack/temporal/instances.ts';
import { historiesOf, opened, payloadsIn, plainText, type History } from './histories.ts';
import { intercepted, isPhase, once } from './intercept.ts';
import { agent, openTestRuns, type TestRuns } from './open.ts';

/** Content is planted in everything that an agent, a person, a vendor or an error can say. */
describe("Temporal's histories", () => {
  let test: TestRuns;
  let runId: RunId;
  const actions: EventId[] = [];
  let failed = 0;
  beforeAll(async () => {
    test = await openTestRuns({ admissionsPerHistory: 3 });
    const failOnce = once(async () => {
      failed += 1;
      throw new Error('canary-in-an-error');
    });
    await test.work({
      instance: (usual) =>
        intercepted(usual, { before: async (events) => (isPhase('verified')(events) ? failOnce() : undefined) }),
    });
    ({ runId } = await test.run());
    const perform = async (tool: string, note: string) => {
      const params = { note: `canary-note-${note}`, text: `canary-text-${note}` };
      const view = await performAction(test.as(agent), { runId, tool: `hubspot.${tool}`, params, waitMs: 60_000 });
      actions.push(view.id);
      return view;
    };
    await perform('writeNote', 'a');
    await perform('writeNote', 'a');
    await perform('readNote', 'a');
    test.vendor.faults.push({ kind: 'status', status: 422 });
    await perform('writeNote', 'refused');
    test.vendor.shows = 'canary-shown';
    await perform('writeNote', 'differing');
    test.vendor.shows = undefined;
    const reason = 'canary-reason';
    const asked = await perform('eraseNote', 'erased');
    const { parametersDigest } = asked;
    await decideAction(test.as('priya'), { id: asked.id, decision: 'APPROVE', parametersDigest, reason });
    await test.temporal.workflow.getHandle(actionWorkflowId(test.control.instance, asked.id)).result();
    test.vendor.faults.push({ kind: 'lost' });
    const unknown = await perform('sendNote', 'sent');
    await settleAction(test.as('omar'), { id: unknown.id, outcome: 'SUCCESS', reason });
    await handOff(test.as(agent), { runId, to: 'omar' as PrincipalId, reason });
    await closeRun(test.as(agent), { runId });
  });
  afterAll(() => test.close());

  const workflowIds = () => [
    runWorkflowId(test.control.instance, runId),
    ...actions.map((id) => actionWorkflowId(test.control.instance, id)),
  ];
  const fetched = (): Promise<History[]> => historiesOf(test.temporal, workflowIds());

  it('are what this test takes them for: all of them, with encrypted payloads that open here', async () => {
    const histories = await fetched();
    // The run continued as new twice.
    expect(histories).toHaveLength(actions.length + 3);
    const { database, keys } = test.control;
    const codec = createCodec(temporalKeys(database.clients.appender, keys, () => Promise.resolve(true)));
    const texts = await Promise.all(histories.map((history) => opened(history, codec, workflowIds())));
    for (const [position, history] of histories.entries()) {
      expect(payloadsIn(history).length).toBeGreaterThan(2);
      expect(texts[position]).toMatch(new RegExp([runId, ...actions].join('|')));
    }
    expect(texts.join('')).toContain('INTERNAL');
    expect(failed).toBe(1);
  });

  it('hold no content: not where they are plain, and not where they are decoded', async () => {
    const { database, keys } = test.control;
    const codec = createCodec(temporalKeys(database.clients.appender, keys, () => Promise.resolve(true)));
    for (const history of await fetched()) {
      expect(plainText(history)).not.toMatch(/canary/i);
      expect(await opened(history, codec, workflowIds())).not.toMatch(/canary/i);
    }
  });

  it('hold no message of an error in plain words', async () => {
    const failures = (await fetched())
      .flatMap(({ events }) => events ?? [])
      .flatMap((event) => [
        event.activityTaskFailedEventAttributes?.failure,
        event.activityTaskStartedEventAttributes?.lastFailure,
      ])
      .filter((failure) => failure !== undefined && failure !== null);
    expect(failures.map(({ message, stackTrace }) => ({ message, stackTrace }))).toEqual([
      { message: 'Encoded failure', stackTrace: '' },
    ]);
  });

  it('leave everything in the trail, where it belongs', async () => {
    const events = await test.find({ run: runId });
    const payload = JSON.stringify(events.map(({ parts }) => parts));
    for (const planted of ['canary-text-a', 'canary-shown', 'canary-reason', 'canary-note-sent'])
      expect(payload).toContain(planted);
    expect(JSON.stringify(events.map(({ entry }) => entry))).not.toMatch(/canary/i);
    // The credential of the connector is nowhere at all.
    expect(payload).not.toContain('credential-canary');
  });
});
