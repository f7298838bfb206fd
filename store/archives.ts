/** What an instance demands of its archive: whether receipts wait for it, and how far behind it may be. */
import type { MongoClient } from 'mongodb';
import type { ControlChange } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import type { ArchiveDemand } from '../trail/archive/acknowledgement.ts';
import { toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';

interface ArchiveDocument extends AppliedDocument {
  acknowledge: 'log' | 'archive';
  lagMsMax: number;
}

const archivesOf = (client: MongoClient) => controlCollection<ArchiveDocument>(client, 'instances');
const idOf = (instance: InstanceId): string => `${instance}/archive`;

/** Undefined where the instance demands nothing: receipts leave when the log holds their entries. */
export const findArchiveDemand = async (
  client: MongoClient,
  instance: InstanceId,
): Promise<ArchiveDemand | undefined> => {
  const document = await archivesOf(client).findOne({ _id: idOf(instance) });
  return document ? { acknowledge: document.acknowledge, lagMsMax: document.lagMsMax } : undefined;
};

type Configure = Extract<ControlChange, { change: 'archive.configure' }>;

export const planArchiveDemand = (
  { client, instance, index }: AppliedEntry,
  { acknowledge, lagMsMax }: Configure,
): Plan =>
  toWrite(() => putUnlessNewer(archivesOf(client), { _id: idOf(instance), instance, index, acknowledge, lagMsMax }));
