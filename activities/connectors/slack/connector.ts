/** The Slack connector (Web API, as a bot). */
import type { Connector, Tool } from '../connector.ts';
import { deleteMessage, updateMessage } from './change.ts';
import { credential } from './client.ts';
import { postMessage } from './post.ts';
import { readHistory } from './read.ts';

export const slack: Connector = {
  system: 'slack',
  version: 'slack/1.0.0',
  credential,
  tools: [postMessage, updateMessage, deleteMessage, readHistory] as Tool<never>[],
};
