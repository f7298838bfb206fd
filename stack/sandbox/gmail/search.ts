/**
 * The search operators of Gmail that the connector uses; all must match.
 * https://support.google.com/mail/answer/7190 and https://developers.google.com/workspace/gmail/api/guides/filtering
 */
import type { StoredMessage } from './mailbox.ts';
import { addressesIn, headerOf, parseMime } from './mime.ts';

type Term = (message: StoredMessage, headers: ReturnType<typeof parseMime>['headers']) => boolean;

function termOf(operator: string, value: string): Term | undefined {
  switch (operator.toLowerCase()) {
    case 'rfc822msgid':
      return (_message, headers) =>
        headerOf(headers, 'message-id')?.replace(/^<|>$/g, '') === value.replace(/^<|>$/g, '');
    case 'in':
    case 'label':
      return (message) => {
        const label = { sent: 'SENT', drafts: 'DRAFT', draft: 'DRAFT', inbox: 'INBOX' }[value.toLowerCase()];
        return value.toLowerCase() === 'anywhere' || (label !== undefined && message.labelIds.includes(label));
      };
    case 'to':
      return (_message, headers) =>
        ['to', 'cc', 'bcc'].some((name) => addressesIn(headerOf(headers, name)).includes(value.toLowerCase()));
    case 'from':
      return (_message, headers) => addressesIn(headerOf(headers, 'from')).includes(value.toLowerCase());
    // guides/filtering: after: and before: take seconds since 1970.
    case 'after':
      return (message) => Number(message.internalDate) >= Number(value) * 1000;
    case 'before':
      return (message) => Number(message.internalDate) < Number(value) * 1000;
    default:
      return undefined;
  }
}

/** Undefined where the query uses what the stand-in does not know: better refused than misread. */
export function parseSearch(query: string): ((message: StoredMessage) => boolean) | undefined {
  const terms: Term[] = [];
  for (const word of query.split(/\s+/).filter((w) => w !== '')) {
    const match = /^(\w+):(.+)$/.exec(word);
    const term = match === null ? undefined : termOf(match[1]!, match[2]!);
    if (term === undefined) return undefined;
    terms.push(term);
  }
  return (message) => {
    const { headers } = parseMime(message.mime);
    return terms.every((term) => term(message, headers));
  };
}
