/** Attempts with the MongoDB users that this process holds, at what their duties do not include. */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { instanceDatabase } from '../../trail/database.ts';
import { controlDatabase } from '../../trail/database.ts';
import type { Attempt } from './attempt.ts';
import type { Target } from './target.ts';

const unauthorized = 13;

const refusedBy = async (work: () => Promise<unknown>): Promise<'refused' | 'crossed'> => {
  try {
    await work();
    return 'crossed';
  } catch (error) {
    if (error instanceof MongoServerError && error.code === unauthorized) return 'refused';
    throw error;
  }
};

export interface ProbedClients {
  readonly appender: MongoClient;
  readonly anchor: MongoClient;
  readonly reader: MongoClient;
  readonly provisioner: MongoClient;
}

/** None of them changes anything where it is not refused: no document has this id. */
const nobody = { _id: 'isolation-probe' as never };

export const mongodbAttempts = (clients: ProbedClients, { instance }: Target): Attempt[] => {
  const at = (client: MongoClient, collection: string): Collection =>
    client.db(instanceDatabase(instance)).collection(collection);
  const control = (client: MongoClient, collection: string): Collection =>
    client.db(controlDatabase).collection(collection);
  const attempt = (what: string, work: () => Promise<unknown>): Attempt => ({
    boundary: 'mongodb',
    attempt: what,
    make: () => refusedBy(work),
  });
  return [
    attempt('appender updates the record', () => at(clients.appender, 'record').updateOne(nobody, { $set: { n: 0 } })),
    attempt('appender removes from the record', () => at(clients.appender, 'record').deleteOne(nobody)),
    attempt('reader updates the record', () => at(clients.reader, 'record').updateOne(nobody, { $set: { n: 0 } })),
    attempt('reader removes an anchor', () => control(clients.reader, 'anchors').deleteOne(nobody)),
    attempt('anchor reads the record', () => at(clients.anchor, 'record').findOne(nobody)),
    attempt('anchor reads keys', () => control(clients.anchor, 'keys').findOne(nobody)),
    attempt('provisioner reads the record', () => at(clients.provisioner, 'record').findOne(nobody)),
    attempt('appender issues a token', () => control(clients.appender, 'tokens').updateOne(nobody, { $set: { n: 0 } })),
    attempt('reader lists databases', () =>
      clients.reader.db('admin').admin().listDatabases({ nameOnly: true, authorizedDatabases: false }),
    ),
  ];
};
