/** The Gmail connector (Gmail API, one mailbox). */
import type { Connector, Tool } from '../connector.ts';
import { credential } from './client.ts';
import { createDraft, deleteDraft } from './draft.ts';
import { readThread } from './read.ts';
import { sendMessage } from './send.ts';

export const gmail: Connector = {
  system: 'gmail',
  version: 'gmail/1.0.0',
  credential,
  tools: [createDraft, deleteDraft, sendMessage, readThread] as Tool<never>[],
};
