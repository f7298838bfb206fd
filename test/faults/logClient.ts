/**
 * A process of its own that appends without end, and writes down each receipt that it was given, durably, before its next
 * call: so whoever kills or freezes it knows what it was told. SIGTERM: it settles what is under way, and ends.
 */
import { appendFileSync } from 'node:fs';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail } from '../../trail/trail.ts';
import { emitterOf } from '../trail/events.ts';
import { appendSettled } from './callers.ts';

export interface LogClientSetup {
  readonly name: string;
  readonly instance: InstanceId;
  readonly origin: string;
  readonly keysFolder: string;
  readonly uris: Readonly<Record<'appender' | 'anchor' | 'reader', string>>;
  /** Events a call. */
  readonly batch: number;
  /** File that gets one receipt a line. */
  readonly receipts: string;
}

const run = async ({ name, instance, origin, keysFolder, uris, batch, receipts }: LogClientSetup): Promise<void> => {
  const stopping = new AbortController();
  process.on('SIGTERM', () => stopping.abort());
  const connect = (uri: string) => MongoClient.connect(uri, { serverSelectionTimeoutMS: 3000 });
  const clients = {
    appender: await connect(uris.appender),
    anchor: await connect(uris.anchor),
    reader: await connect(uris.reader),
  };
  const { writer } = await openTrail(instance, origin, { clients, keys: await openFileKeyProvider(keysFolder) });
  const next = emitterOf(name);
  while (!stopping.signal.aborted) {
    const given = await appendSettled(
      () => writer,
      Array.from({ length: batch }, () => next()),
    );
    appendFileSync(receipts, given.map((receipt) => `${JSON.stringify(receipt)}\n`).join(''));
  }
  await Promise.all(Object.values(clients).map((client) => client.close()));
};

if (import.meta.main) await run(JSON.parse(process.env['LOG_CLIENT'] ?? '') as LogClientSetup);
