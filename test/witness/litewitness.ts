/** A real witness, filippo.io/torchwood's litewitness, on a free port, with a key and a database of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { emptyRoot } from '../../domain/tree/hash.ts';
import { goProgram, pathOf } from '../setup/programs.ts';
import { startSshAgent } from './sshAgent.ts';

export const litewitness = await goProgram('filippo.io/torchwood/cmd/litewitness@v0.9.0', 'litewitness');

export interface Witness {
  readonly name: string;
  /** Verifier key, as it is configured. */
  readonly vkey: string;
  /** Submission prefix. */
  readonly url: string;
  /** Tells it of a log. */
  add(origin: string, vkey: string): void;
  /** What it has of a log. */
  size(origin: string): number;
  /** Ends it; `start` goes on with the same key, port and database. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export const startWitness = async (name: string): Promise<Witness> => {
  const folder = await mkdtemp(join(tmpdir(), 'tk-witness-'));
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, randomBytes(32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-32);
  const socket = join(folder, 'agent');
  const database = join(folder, 'witness.db');
  const agent = await startSshAgent(socket, privateKey, publicKey);
  const port = await freePort();
  let child: ChildProcess | undefined;
  /** What `witnessctl` does: the witness looks there at each request. */
  const inDatabase = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(database);
    try {
      return work(db);
    } finally {
      db.close();
    }
  };

  const start = async (): Promise<void> => {
    const started = spawn(
      pathOf(litewitness),
      ['-name', name, '-db', database, '-key', agent.fingerprint, '-ssh-agent', socket, '-listen', `127.0.0.1:${port}`],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child = started;
    await new Promise<void>((resolve, reject) => {
      let said = '';
      started.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString('utf8');
        if (said.includes('msg=listening')) resolve();
      });
      started.once('error', reject);
      started.once('exit', () => reject(new Error(`litewitness ended: ${said}`)));
    });
    // It says so just before it does.
    for (;;) {
      try {
        await fetch(`http://127.0.0.1:${port}/`);
        return;
      } catch {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const stop = async (): Promise<void> => {
    const ended = child;
    child = undefined;
    if (!ended || ended.exitCode !== null) return;
    const gone = new Promise((resolve) => ended.once('exit', resolve));
    ended.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    name,
    vkey: encodeCosignerVkey(cosignerKey(name, publicKey)),
    url: `http://127.0.0.1:${port}`,
    add(origin, vkey) {
      inDatabase((db) => {
        db.prepare('INSERT INTO log VALUES (?, 0, ?)').run(origin, emptyRoot.toString('base64'));
        db.prepare('INSERT INTO key VALUES (?, ?)').run(origin, vkey);
      });
    },
    size: (origin) =>
      inDatabase((db) => Number(db.prepare('SELECT tree_size FROM log WHERE origin = ?').get(origin)?.['tree_size'])),
    stop,
    start,
    async close() {
      await stop();
      await agent.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
