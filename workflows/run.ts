/**
 * A run: admits actions against its budget and remembers which began, over any number of continue-as-new. Actions are
 * workflows of their own: none occupies the run, and the run's end does not end them.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { Admissions } from '../domain/action/admission.ts';
import { actionWorkflowId, type PerformInput, type RunInput } from '../domain/action/contract.ts';
import type { EventId } from '../schema/ids.ts';
import type { action } from './action.ts';
import { newEntryId } from './entryNumbers.ts';
import { closeRunUpdate, endRunUpdate, performUpdate, runProgressQuery } from './messages.ts';
import { refusal } from './refusal.ts';

export const run = async (input: RunInput): Promise<{ actions: number }> => {
  const { carried } = input;
  let closing: EventId | undefined = carried?.closing;
  let ended = false;
  let continuing = false;
  let admittedHere = 0;
  const admissions = new Admissions(input.actionsMax, carried?.children ?? '', closing !== undefined);
  const starting = new Map<EventId, Promise<void>>();

  const start = async (given: PerformInput): Promise<void> => {
    try {
      await startChild<typeof action>('action', {
        args: [given],
        workflowId: actionWorkflowId(input.instance, given.intent),
        taskQueue: input.actionsQueue,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      });
    } catch (error) {
      // It began before, and this run's memory of it was lost or not yet made.
      if (error instanceof WorkflowExecutionAlreadyStartedError) return;
      admissions.withdraw(given.intent);
      throw error;
    }
  };

  setHandler(
    performUpdate,
    async (given) => {
      if (!admissions.knows(given.intent)) {
        admissions.admit(given.intent);
        admittedHere += 1;
        starting.set(given.intent, start(given));
      }
      const started = starting.get(given.intent);
      try {
        await started;
      } finally {
        starting.delete(given.intent);
      }
    },
    {
      validator: ({ intent }) => {
        if (continuing) throw refusal('RUN_CONTINUING');
        const code = admissions.refusal(intent);
        if (code) throw refusal(code);
      },
    },
  );
  setHandler(closeRunUpdate, () => {
    closing ??= newEntryId();
    admissions.closed = true;
    return { entry: closing };
  });
  setHandler(endRunUpdate, () => void (ended = true), {
    validator: () => {
      if (closing === undefined) throw refusal('BAD_INPUT');
    },
  });
  setHandler(runProgressQuery, () => ({
    state: closing === undefined ? ('OPEN' as const) : ('CLOSING' as const),
    actions: admissions.count,
  }));

  const full = () => workflowInfo().continueAsNewSuggested || admittedHere >= input.admissionsPerHistory;
  await condition(() => ended || full());
  // What is under way ends here; what comes now is refused, and comes again to the next.
  continuing = !ended;
  await condition(allHandlersFinished);
  if (ended) return { actions: admissions.count };
  const children = admissions.carry();
  return continueAsNew<typeof run>({ ...input, carried: { children, ...(closing && { closing }) } });
};
