/** Logs that an instance had before it was restored from its archive, and under which name it goes on. */
import type { MongoClient } from 'mongodb';
import type { ControlChange } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection } from './newest-entry.ts';

export interface FormerLog {
  readonly origin: string;
  /** What its checkpoints were signed with. */
  readonly vkey: string;
  /** Log index of the entry with which the log went on. */
  readonly until: number;
}

interface LogDocument {
  /** The instance. */
  _id: string;
  logId: string;
  origin: string;
  /** Oldest first. */
  former?: FormerLog[];
}

const logsOf = (client: MongoClient) => controlCollection<LogDocument>(client, 'instances');

/** Oldest first. */
export const formerLogs = async (client: MongoClient, instance: InstanceId): Promise<readonly FormerLog[]> =>
  (await logsOf(client).findOne({ _id: instance }, { projection: { former: 1 } }))?.former ?? [];

type Continue = Extract<ControlChange, { change: 'log.continue' }>;

/** From here on every process opens the log under its new name. */
export const planContinuation = async (
  { client, instance, index }: AppliedEntry,
  { logId, origin, former }: Continue,
): Promise<Plan> => {
  const present = await logsOf(client).findOne({ _id: instance });
  const done = present?.former?.some(({ until }) => until === index) === true;
  if (done) return toWrite(() => Promise.resolve());
  if (present?.origin !== former.origin)
    return toVoid('CONFLICT', `the log of this instance is not ${former.origin}; it can't go on from there`);
  return toWrite(async () => {
    await logsOf(client).updateOne(
      { _id: instance, origin: former.origin },
      { $set: { logId, origin }, $push: { former: { origin: former.origin, vkey: former.vkey, until: index } } },
    );
  });
};
