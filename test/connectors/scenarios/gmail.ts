import type { CallResult, Json } from '../../../activities/connectors/connector.ts';
import type { Sandbox } from '../../../stack/sandbox/sandbox.ts';
import { contextFor, perform, tool } from '../context.ts';
import type { Scenario } from './scenario.ts';

const mail = {
  to: ['Buyer@Example.com'],
  cc: ['legal@example.org'],
  subject: 'Überprüfung: your order',
  text: 'Hello,\n\nthank you — we shipped.',
};

async function correlations(sandbox: Sandbox, result: CallResult): Promise<readonly (Json | undefined)[]> {
  // A draft has an id of its own; that of its message is in the log.
  const newest = sandbox.changes('gmail').findLast((c) => c.operation === 'create')!;
  const message = sandbox.gmail.peek().find((m) => m.id === newest.id)!;
  const value = message.part.headers.find((h) => h.name.toLowerCase() === 'x-trailkeeper-correlation-id')?.value;
  return result.items.map(() => value);
}

const badMails = [
  { ...mail, to: [] },
  { ...mail, to: ['nobody'] },
  { ...mail, subject: 'Hi\r\nBcc: thief@example.net' },
  { ...mail, attachments: [{ path: '/etc/passwd' }] },
  { ...mail, reply: { threadId: '1', messageId: 'no-brackets@example.com' } },
];

export const gmailScenarios: readonly Scenario[] = [
  { tool: 'gmail.sendMessage', prepare: async () => ({ params: mail }), marks: correlations, refused: badMails },
  {
    tool: 'gmail.createDraft',
    prepare: async (sandbox) => ({ params: mail, state: async () => sandbox.gmail.peek().length }),
    marks: correlations,
    refused: badMails,
  },
  {
    tool: 'gmail.deleteDraft',
    prepare: async (sandbox) => {
      const { result } = await perform(tool('gmail.createDraft'), contextFor(sandbox, 'gmail'), mail);
      return { params: { draftId: result.items[0]!.target!.id } };
    },
    refused: [{ draftId: '../messages/1' }, {}],
  },
  {
    tool: 'gmail.readThread',
    prepare: async (sandbox) => {
      const [message] = sandbox.seed({
        gmail: {
          messages: [{ from: 'buyer@example.com', to: 'agent@sandbox.example', subject: 'Order', text: 'Where?' }],
        },
      }).gmail;
      return { params: { threadId: message!.threadId } };
    },
    refused: [{ threadId: 'a/b' }, {}],
  },
];
