/**
 * Archives, verifies or rebuilds a log in a process of its own, whose memory is measured. Its argument is the order; its last
 * line says how much of its memory was in use at most, in bytes. Needs --expose-gc: what was let go of and not collected
 * yet is not counted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { parseVkey } from '../../domain/tree/note.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { rebuildRecord } from '../../trail/archive/rebuild.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import { verifyArchive } from '../../trail/archive/verify.ts';
import { ArchiveTail } from '../../trail/tails/archive-tail.ts';

export interface RecoveryOrder {
  readonly task: 'archive' | 'verify' | 'rebuild';
  readonly uris: { readonly archiver: string; readonly admin: string };
  readonly instance: string;
  readonly origin: string;
  readonly vkey: string;
  readonly folder: string;
  readonly size: number;
}

const order = JSON.parse(process.argv[2]!) as RecoveryOrder;
const instance = order.instance as InstanceId;
const keys = [parseVkey(order.vkey)];
const store = folderStore(order.folder);

let liveBytesMax = 0;
let looks = 0;
/** Now and then: collecting takes its time. */
const look = (): void => {
  looks += 1;
  if (looks % 8 !== 1) return;
  (globalThis as { gc?: () => void }).gc!();
  const { heapUsed, external } = process.memoryUsage();
  liveBytesMax = Math.max(liveBytesMax, heapUsed + external);
};

const archive = async (client: MongoClient): Promise<void> => {
  const failures: unknown[] = [];
  // Between two objects, when the most is held.
  const watched = { ...store, put: (name: string, bytes: Uint8Array) => (look(), store.put(name, bytes)) };
  const tail = new ArchiveTail({
    owner: 'measured',
    client,
    open: async () => ({ store: watched, origin: order.origin, keys, gatherMs: 0, lagMsMax: 3_600_000 }),
    onLag: async () => undefined,
    onError: (_tail, _instance, error) => failures.push(error),
    nowMs: Date.now,
  });
  tail.follow(instance);
  while ((await archivedSize(client, instance)) < order.size) {
    if (failures.length > 0) throw failures[0];
    await delay(50);
  }
  await tail.stop();
};

const client = await MongoClient.connect(order.task === 'archive' ? order.uris.archiver : order.uris.admin);
const trust = { kind: 'trusted' as const, keys };
const reading = { ...store, get: (name: string, version?: string) => (look(), store.get(name, version)) };
switch (order.task) {
  case 'archive':
    await archive(client);
    break;
  case 'verify':
    if ((await verifyArchive(reading, { trust })).outcome !== 'verified') throw new Error('it does not hold');
    break;
  case 'rebuild':
    await rebuildRecord({ store: reading, instance, admin: client, trust, kept: [], progress: look });
    break;
  default:
    order.task satisfies never;
}
look();
await client.close();
console.log(JSON.stringify({ liveBytesMax }));
process.exit();
