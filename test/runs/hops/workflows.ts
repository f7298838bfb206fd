/** Workflows that do nothing but hand on: one for each way in which something can be handed on. */
import {
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';

const { seen } = proxyActivities<{ seen(hop: string): Promise<string> }>({ startToCloseTimeout: 30_000 });

export const nudge = defineSignal<[string]>('nudge');
export const ask = defineUpdate<string, [string]>('ask');

/** Says what the activity saw. */
export const direct = (hop: string): Promise<string> => seen(hop);

export const parent = (hop: string): Promise<string> =>
  executeChild(direct, { args: [hop], workflowId: `${workflowInfo().workflowId}/child` });

export const again = async (hop: string, rounds = 2): Promise<string> =>
  rounds === 0 ? seen(hop) : continueAsNew<typeof again>(hop, rounds - 1);

/** Waits for a signal, and for an update, and says what the activity saw that each of them led to. */
export const waiting = async (): Promise<string> => {
  let signalled: string | undefined;
  setHandler(nudge, async (hop) => {
    signalled = await seen(hop);
  });
  setHandler(ask, (hop) => seen(hop));
  await condition(() => signalled !== undefined);
  return signalled!;
};

/** Signals another workflow. */
export const signalling = async (target: string, hop: string): Promise<void> => {
  await getExternalWorkflowHandle(target).signal(nudge, hop);
};
