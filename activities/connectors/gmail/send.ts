/** Sending a mail. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/send */
import type { CallContext, CallResult, Step, Tool, Verification } from '../connector.ts';
import { readJson } from '../transport/request.ts';
import {
  addressesIn,
  call,
  getMessage,
  header,
  headers,
  mailbox,
  messageShape,
  orNull,
  textOf,
  valuesOf,
  type Message,
} from './client.ts';
import { mailParams, messageOf, planOf, recipients, type MailParams } from './compose.ts';
import { findMessage } from './find.ts';

const line = (text: string): string => text.replace(/\r\n/g, '\n').trim();

/** True where a message in the mailbox is what the parameters asked for, to that recipient. */
export function isAsSent(ctx: CallContext, mail: MailParams, message: Message, recipient: string): boolean {
  const to = ['to', 'cc', 'bcc'].flatMap((name) => addressesIn(header(message, name)));
  return (
    header(message, headers.action) === ctx.actionId &&
    header(message, headers.correlation) === ctx.correlationId &&
    header(message, 'subject') === mail.subject &&
    line(textOf(message.payload)) === line(mail.text) &&
    to.includes(recipient)
  );
}

/** The result for a message: one item a recipient, in the step's order. */
export function resultOf(step: Step<MailParams>, kind: 'message' | 'draft', id: string, message: Message): CallResult {
  const after = { id, threadId: message.threadId, labelIds: message.labelIds ?? [] };
  return {
    items: recipients(step.params).map((recipient) => ({
      outcome: 'success',
      target: { kind, id, subject: mailbox(recipient.address) },
      after,
    })),
    response: { id, threadId: message.threadId },
  };
}

export function verification(ctx: CallContext, step: Step<MailParams>, message: Message | null): Verification {
  const items = recipients(step.params).map(({ address }) =>
    message === null
      ? { matches: false }
      : { matches: isAsSent(ctx, step.params, message, address), readBack: valuesOf(message) },
  );
  return { matches: items.every((item) => item.matches), items };
}

export const sendMessage: Tool<MailParams> = {
  name: 'gmail.sendMessage',
  system: 'gmail',
  action: 'message.send',
  effect: 'irreversible',
  idempotency: 'none',
  endpoint: 'POST /gmail/v1/users/{userId}/messages/send',
  input: mailParams,
  takesMapping: false,
  plan: planOf,
  async call(ctx, step) {
    const answer = await call(ctx, {
      method: 'POST',
      path: '/messages/send',
      effect: 'write',
      json: await messageOf(ctx, step.params),
    });
    const message = readJson(answer, messageShape, 'write');
    return resultOf(step, 'message', message.id, message);
  },
  async verify(ctx, step, result) {
    return verification(ctx, step, await orNull(getMessage(ctx, result.items[0]!.target!.id)));
  },
  settleAfterMs: 60_000,
  async settle(ctx, step) {
    const { message, exhausted } = await findMessage(ctx, 'sent', step.params.to[0]!.toLowerCase());
    if (message !== undefined) return { state: 'applied', result: resultOf(step, 'message', message.id, message) };
    return exhausted
      ? { state: 'undetermined', reason: 'too many mails to this recipient to look into all' }
      : { state: 'not-applied' };
  },
};
