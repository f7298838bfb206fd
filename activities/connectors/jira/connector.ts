/** The Jira Cloud connector (platform REST API v3, with an API token). */
import type { Connector, Tool } from '../connector.ts';
import { transitionIssue, updateIssue } from './change.ts';
import { credential } from './client.ts';
import { addComment, deleteComment } from './comment.ts';
import { createIssue, deleteIssue } from './create.ts';
import { readIssue } from './read.ts';

export const jira: Connector = {
  system: 'jira',
  version: 'jira/1.0.0',
  credential,
  tools: [
    createIssue,
    updateIssue,
    transitionIssue,
    addComment,
    deleteComment,
    deleteIssue,
    readIssue,
  ] as Tool<never>[],
};
