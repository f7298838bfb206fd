import type { Json } from '../../../activities/connectors/connector.ts';
import type { Sandbox } from '../../../stack/sandbox/sandbox.ts';
import { contextFor, perform, tool } from '../context.ts';
import type { Scenario } from './scenario.ts';

/** A message of the app's own, and where it is. */
export async function postedMessage(sandbox: Sandbox, text: string): Promise<{ channel: string; ts: string }> {
  const channel = sandbox.slack.channelId('sales');
  const { result } = await perform(tool('slack.postMessage'), contextFor(sandbox, 'slack'), { channel, text });
  return { channel, ts: (result.response as { ts: string }).ts };
}

async function messageAt(sandbox: Sandbox, id: string) {
  const [channel, ts] = id.split('/') as [string, string];
  return (await sandbox.slack.peek(channel)).find((message) => message['ts'] === ts);
}

async function correlationAt(sandbox: Sandbox, id: string): Promise<Json | undefined> {
  const metadata = (await messageAt(sandbox, id))?.['metadata'] as
    | { event_payload?: { correlation_id?: string } }
    | undefined;
  return metadata?.event_payload?.correlation_id;
}

const texts = async (sandbox: Sandbox): Promise<Json> =>
  (await sandbox.slack.peek(sandbox.slack.channelId('sales'))).map((message) => message['text'] ?? null);

export const slackScenarios: readonly Scenario[] = [
  {
    tool: 'slack.postMessage',
    prepare: async (sandbox) => ({
      params: { channel: sandbox.slack.channelId('sales'), text: 'Deal & renewal <closed>' },
      state: () => texts(sandbox),
    }),
    marks: async (sandbox, result) => [await correlationAt(sandbox, result.items[0]!.target!.id)],
    refused: [
      { channel: '#sales', text: 'x' },
      { channel: 'C0123456789', text: ' ' },
      { channel: 'C0123456789', text: 'x'.repeat(40_001) },
      { channel: 'C0123456789', text: 'x', as_user: true },
    ],
  },
  {
    tool: 'slack.updateMessage',
    prepare: async (sandbox) => ({
      params: { ...(await postedMessage(sandbox, 'before')), text: 'after' },
      state: () => texts(sandbox),
    }),
    marks: async (sandbox, result) => [await correlationAt(sandbox, result.items[0]!.target!.id)],
    refused: [
      { channel: 'C0123456789', ts: '1', text: 'x' },
      { channel: 'C0123456789', ts: '1795516510.000001', text: '' },
    ],
  },
  {
    tool: 'slack.deleteMessage',
    prepare: async (sandbox) => ({ params: await postedMessage(sandbox, 'to be deleted') }),
    refused: [{ channel: 'C0123456789' }, { channel: 'C0123456789', ts: 'yesterday' }],
  },
  {
    tool: 'slack.readHistory',
    prepare: async (sandbox) => {
      const { channel } = await postedMessage(sandbox, 'to be read');
      return { params: { channel, limit: 5 } };
    },
    refused: [{ channel: 'C0123456789', limit: 1000 }, { channel: 'general' }],
  },
];
