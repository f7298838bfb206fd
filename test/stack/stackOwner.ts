/** A process that owns the embedded servers, for tests of what becomes of them when it ends. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startServers } from '../../stack/servers/servers.ts';

const [folder = ''] = process.argv.slice(2);
const servers = await startServers({
  env: { ...process.env, MONGODB_URI: '', TEMPORAL_ADDRESS: '' },
  dataFolder: folder,
  ports: { mongodb: { kind: 'free' }, temporal: { kind: 'free' } },
  namespace: 'trailkeeper',
  say: () => undefined,
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void servers.stop().then(() => process.exit(0)));
}
const pids = await Promise.all(
  ['mongodb/mongod.pid', 'temporal/temporal.pid'].map(async (file) => {
    const { server } = JSON.parse(await readFile(join(folder, file), 'utf8')) as { server: { pid: number } };
    return server.pid;
  }),
);
console.log(`pids ${pids.join(' ')}`);
// Only a signal ends it.
setInterval(() => undefined, 60_000);
