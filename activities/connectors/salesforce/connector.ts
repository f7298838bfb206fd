/** The Salesforce connector (REST API). docs/connectors.md lists the custom fields that it needs. */
import type { Connector, Tool } from '../connector.ts';
import { credential } from './client.ts';
import { createRecord, deleteRecord } from './create.ts';
import { queryRecords, readRecords } from './read.ts';
import { restoreRecords, updateRecords } from './update.ts';

export const salesforce: Connector = {
  system: 'salesforce',
  version: 'salesforce/1.0.0',
  credential,
  tools: [readRecords, queryRecords, updateRecords, restoreRecords, createRecord, deleteRecord] as Tool<never>[],
};
