/** Reading a thread. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.threads/get */
import { z } from 'zod';
import type { CallContext, Tool } from '../connector.ts';
import { readJson } from '../transport/request.ts';
import {
  addressesIn,
  call,
  credential,
  header,
  idPattern,
  mailbox,
  messageShape,
  valuesOf,
  type Message,
} from './client.ts';

const params = z.strictObject({ threadId: z.string().regex(idPattern) });
type Params = z.infer<typeof params>;

/** Whom a message is about: who wrote it or, for one of our own, who got it. */
function correspondent(ctx: CallContext, message: Message): string | undefined {
  const own = credential.parse(ctx.credential).address.toLowerCase();
  return ['from', 'to', 'cc'].flatMap((name) => addressesIn(header(message, name))).find((address) => address !== own);
}

/** The messages are in `found`, oldest first. */
export const readThread: Tool<Params> = {
  name: 'gmail.readThread',
  system: 'gmail',
  action: 'message.read',
  effect: 'read',
  idempotency: 'none',
  endpoint: 'GET /gmail/v1/users/{userId}/threads/{id}',
  input: params,
  takesMapping: false,
  plan: (p) => [{ params: p, items: [], fields: ['from', 'to', 'cc', 'subject', 'date', 'text'] }],
  async call(ctx, { params: p }) {
    const answer = await call(ctx, { method: 'GET', path: `/threads/${p.threadId}?format=full`, effect: 'read' });
    const thread = readJson(answer, z.looseObject({ id: z.string(), messages: z.array(messageShape) }), 'read');
    return {
      items: [],
      found: thread.messages.map((message) => {
        const person = correspondent(ctx, message);
        return {
          target: { kind: 'message', id: message.id, ...(person === undefined ? {} : { subject: mailbox(person) }) },
          values: valuesOf(message),
        };
      }),
      response: { threadId: thread.id, found: thread.messages.length },
    };
  },
};
