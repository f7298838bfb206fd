/**
 * Makes a pack of a range in a process of its own, whose memory is measured. Its argument is the order. Says on
 * its last line how much of its memory was in use at most, in bytes, and how much processor time it took, in milliseconds.
 * Needs --expose-gc: what was let go of and not collected yet is not counted.
 */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { exportPack } from '../../trail/evidence/exportPack.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { seeAll } from '../../trail/reader.ts';
import { openTrail } from '../../trail/trail.ts';

export interface ExportOrder {
  readonly uris: { readonly appender: string; readonly anchor: string; readonly reader: string };
  readonly keysFolder: string;
  readonly instance: string;
  readonly origin: string;
  /** Event that asked for it, and the log indexes of that and of the key's entry. */
  readonly id: string;
  readonly askedAt: number;
  readonly announcedAt: number;
  readonly from: number;
  readonly to: number;
  readonly file: string;
}

export interface ExportMeasure {
  readonly liveBytesMax: number;
  readonly cpuMs: number;
  readonly entries: number;
}

/** Entries between two looks at the memory. */
const everyEntries = 1000;

const liveBytes = (): number => {
  globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

const make = async (order: ExportOrder): Promise<ExportMeasure> => {
  const { uris, origin, from, to, file } = order;
  const clients = {
    appender: new MongoClient(uris.appender),
    anchor: new MongoClient(uris.anchor),
    reader: new MongoClient(uris.reader),
  };
  const trail = await openTrail(order.instance as InstanceId, origin, {
    clients,
    keys: await openFileKeyProvider(order.keysFolder),
  });
  let entries = 0;
  let liveBytesMax = 0;
  const pieces = exportPack(
    trail.reader,
    {
      kind: 'export',
      id: order.id,
      scope: { kind: 'range', from, to },
      askedBy: { principal: 'akira', kind: 'human' },
      askedAt: new Date(0),
      madeAt: new Date(0),
      checkpoint: (await trail.reader.openedCheckpoint())!,
      origin,
      vkeys: [trail.vkey],
      signer: await trail.evidenceSigner(),
      announcedAt: order.announcedAt,
      custody: [order.askedAt],
      maySee: seeAll,
    },
    {
      beforeManifest: async ({ summary }) => void (entries = summary.entries),
      progress: (done) => {
        if (done % everyEntries === 0) liveBytesMax = Math.max(liveBytesMax, liveBytes());
      },
    },
  );
  await pipeline(Readable.from(pieces), createGzip(), createWriteStream(file));
  await Promise.all(Object.values(clients).map((client) => client.close()));
  const { user, system } = process.cpuUsage();
  return { liveBytesMax, cpuMs: (user + system) / 1000, entries };
};

if (import.meta.main) {
  const measure = await make(JSON.parse(process.argv[2]!) as ExportOrder);
  console.log(JSON.stringify(measure));
}
