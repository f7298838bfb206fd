/** What a mail's parameters are, and the message (RFC 5322) made of them. */
import MailComposer from 'nodemailer/lib/mail-composer';
import { z } from 'zod';
import type { CallContext, Step, StepItem } from '../connector.ts';
import { credential, headers, idPattern, mailbox } from './client.ts';

const address = z.email().max(320);

export const recipientsMax = 100;

export const mailParams = z
  .strictObject({
    to: z.array(address).min(1).max(recipientsMax),
    cc: z.array(address).max(recipientsMax).optional(),
    bcc: z.array(address).max(recipientsMax).optional(),
    // A line break would begin another header.
    subject: z
      .string()
      .trim()
      .min(1)
      .max(998)
      .refine((text) => !/\p{Cc}/u.test(text), 'no control characters'),
    text: z.string().min(1).max(1_000_000),
    /** Answers in a thread: its id, and the Message-ID that is answered. */
    reply: z
      .strictObject({
        threadId: z.string().regex(idPattern),
        messageId: z
          .string()
          .regex(/^<[!-;=?-~]+@[!-;=?-~]+>$/)
          .max(998),
      })
      .optional(),
  })
  .refine((mail) => recipients(mail).length <= recipientsMax, `at most ${recipientsMax} recipients`);
export type MailParams = z.infer<typeof mailParams>;

type Roles = Pick<MailParams, 'to' | 'cc' | 'bcc'>;

/** Each person once, lower case, in the first role in which they are named. */
export function recipients(mail: {
  readonly to: readonly string[];
  readonly cc?: readonly string[] | undefined;
  readonly bcc?: readonly string[] | undefined;
}): readonly { readonly address: string; readonly role: keyof Roles }[] {
  const seen = new Map<string, keyof Roles>();
  for (const role of ['to', 'cc', 'bcc'] as const) {
    for (const name of mail[role] ?? []) if (!seen.has(name.toLowerCase())) seen.set(name.toLowerCase(), role);
  }
  return [...seen].map(([name, role]) => ({ address: name, role }));
}

/** One item a recipient, since each is a data subject of their own. */
export const itemsOf = (mail: MailParams): StepItem[] =>
  recipients(mail).map((recipient) => {
    const content = { role: recipient.role, subject: mail.subject, text: mail.text };
    return {
      target: { kind: 'mailbox', id: recipient.address, subject: mailbox(recipient.address) },
      requested: content,
      sent: content,
    };
  });

/** One call, about each recipient. */
export const planOf = (mail: MailParams): Step<MailParams>[] => [
  {
    params: mail,
    items: itemsOf(mail),
    fields: ['to', ...(mail.cc ? ['cc'] : []), ...(mail.bcc ? ['bcc'] : []), 'subject', 'text'],
    channel: { kind: 'email', id: mail.to[0]!.toLowerCase() },
  },
];

/** What Gmail takes as a message, in the thread that it answers. */
export const messageOf = async (ctx: CallContext, mail: MailParams) => ({
  raw: await rawOf(ctx, mail),
  ...(mail.reply === undefined ? {} : { threadId: mail.reply.threadId }),
});

/** The same for every try. Gmail may write its own over it, so it is a short cut in finding a message, not the proof. */
export function messageIdOf(ctx: CallContext): string {
  const domain = credential.parse(ctx.credential).address.split('@')[1]!;
  return `<trailkeeper.${ctx.actionId}.${ctx.step}@${domain}>`;
}

/** The message in base64url, as `raw` takes it. */
export async function rawOf(ctx: CallContext, mail: MailParams): Promise<string> {
  const composer = new MailComposer({
    from: credential.parse(ctx.credential).address,
    to: mail.to,
    ...(mail.cc === undefined ? {} : { cc: mail.cc }),
    ...(mail.bcc === undefined ? {} : { bcc: mail.bcc }),
    subject: mail.subject,
    text: mail.text,
    messageId: messageIdOf(ctx),
    ...(mail.reply === undefined ? {} : { inReplyTo: mail.reply.messageId, references: mail.reply.messageId }),
    headers: { [headers.correlation]: ctx.correlationId, [headers.action]: ctx.actionId },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const message = composer.compile();
  // Gmail takes the recipients from the headers, and removes Bcc itself.
  message.keepBcc = true;
  return (await message.build()).toString('base64url');
}
