/**
 * Finding the message that an action made, if it did. Gmail writes a Message-ID of its own over one sent by the API
 * (observed, github.com/FlowCrypt/flowcrypt-browser issues 4273 and 4876), so its absence proves nothing: what decides
 * is our own header, looked for in every message to that recipient that can be of this action.
 */
import { ConnectorError, type CallContext } from '../connector.ts';
import { readJson } from '../transport/request.ts';
import { call, earliestSeconds, getMessage, header, headers, listShape, type Message } from './client.ts';
import { messageIdOf } from './compose.ts';

/** How many messages are looked into before giving up. */
const candidatesMax = 300;

/** `exhausted`: there are more messages than could be looked into. */
export type Found = { readonly message: Message | undefined; readonly exhausted: boolean };

async function list(ctx: CallContext, query: string, pageToken?: string) {
  const parameters = new URLSearchParams({ q: query, maxResults: '100', ...(pageToken && { pageToken }) });
  return readJson(
    await call(ctx, { method: 'GET', path: `/messages?${parameters.toString()}`, effect: 'read' }),
    listShape,
    'read',
  );
}

const isOurs = (ctx: CallContext, message: Message): boolean => header(message, headers.action) === ctx.actionId;

export async function findMessage(ctx: CallContext, folder: 'sent' | 'drafts', recipient: string): Promise<Found> {
  const byId = await list(ctx, `rfc822msgid:${messageIdOf(ctx).slice(1, -1)}`);
  for (const { id } of byId.messages ?? []) {
    const message = await getMessage(ctx, id);
    if (isOurs(ctx, message)) return { message, exhausted: false };
  }
  const query = `in:${folder} to:${recipient} after:${earliestSeconds(ctx)}`;
  let pageToken: string | undefined;
  let seen = 0;
  do {
    const page = await list(ctx, query, pageToken);
    for (const { id } of page.messages ?? []) {
      seen += 1;
      if (seen > candidatesMax) return { message: undefined, exhausted: true };
      const message = await getMessage(ctx, id).catch((error: unknown) => {
        // Gone between the list and the look: not the one that is asked for, which nobody has deleted yet.
        if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return undefined;
        throw error;
      });
      if (message !== undefined && isOurs(ctx, message)) return { message, exhausted: false };
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  return { message: undefined, exhausted: false };
}
