/** Looks into Temporal's histories: at every payload in them, and at what stands there unencrypted. */
import type { Client } from '@temporalio/client';
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';

export type History = temporal.api.history.v1.IHistory;

const isPayload = (value: object): value is Payload => 'metadata' in value && 'data' in value;

/** All payloads at any depth, those inside of encrypted failures too. */
export const payloadsIn = (value: unknown): Payload[] => {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if (isPayload(value)) return [value];
  return Object.values(value).flatMap(payloadsIn);
};

/** Everything in a history that is text, without opening anything. */
export const plainText = (value: unknown): string => {
  if (typeof value === 'string') return `${value}\n`;
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('latin1')}\n`;
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([key, inner]) => `${key}\n${plainText(inner)}`)
    .join('');
};

/** The histories of these workflows, each run of them. */
export const historiesOf = async (client: Client, workflowIds: readonly string[]): Promise<History[]> => {
  const histories: History[] = [];
  for (const workflowId of workflowIds) {
    let runId: string | null | undefined = (await client.workflow.getHandle(workflowId).describe()).raw
      .workflowExecutionInfo?.firstRunId;
    while (runId) {
      const history: History = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      histories.push(history);
      runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId || undefined;
    }
  }
  return histories;
};

/** What the payloads of a history say, under the ids of the workflows that they may belong to. */
export const opened = async (
  history: History,
  codec: PayloadCodec,
  workflowIds: readonly string[],
): Promise<string> => {
  const texts: string[] = [];
  for (const payload of payloadsIn(history)) {
    for (const workflowId of workflowIds) {
      const [open] = await codec.decode([payload], { type: 'workflow', namespace: '', workflowId });
      if (open?.data) texts.push(Buffer.from(open.data).toString('utf8'));
    }
  }
  return texts.join('\n');
};
