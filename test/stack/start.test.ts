/** `npm start` as a newcomer runs it, in a folder and on ports of its own. */
import { randomInt } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimPort } from '../../stack/servers/ports.ts';

const root = resolve(import.meta.dirname, '../..');

interface Run {
  readonly process: ChildProcess;
  readonly output: () => string;
  /** Resolves with the exit code when all of its output is there. */
  readonly ended: Promise<number | null>;
  readonly said: (text: string) => Promise<void>;
}

/** Shows what it said where it ended otherwise. */
const exited = async (run: Run, code: number): Promise<void> => {
  if ((await run.ended) !== code) throw new Error(`it did not exit with ${code}:\n${run.output()}`);
};

describe('npm start', { timeout: 900_000 }, () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;

  /**
   * The first of ten free ports in a row, below those that the system gives to outgoing connections: one of these could be
   * taken between our look and the start.
   */
  const freePorts = async (): Promise<number> => {
    for (;;) {
      const first = randomInt(20_000, 32_000);
      const claims = Array.from({ length: 10 }, (_, place) =>
        claimPort({ kind: 'fixed', port: first + place, setting: '' }, 'a test'),
      );
      if ((await Promise.allSettled(claims)).every(({ status }) => status === 'fulfilled')) return first;
    }
  };

  const start = (args: readonly string[] = []): Run => {
    const child = spawn(process.execPath, [join(root, 'stack/start.ts'), ...args], { env, stdio: 'pipe' });
    let output = '';
    const listeners = new Set<() => void>();
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        for (const listener of listeners) listener();
      });
    const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
    const said = (text: string) =>
      new Promise<void>((done, fail) => {
        const look = () => output.includes(text) && done();
        listeners.add(look);
        look();
        void ended.then(() => fail(new Error(`it ended without saying "${text}":\n${output}`)));
      });
    return { process: child, output: () => output, ended, said };
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trailkeeper-start-'));
    const port = await freePorts();
    const { MONGODB_URI: _mongodb, TEMPORAL_ADDRESS: _temporal, ...inherited } = process.env;
    env = {
      ...inherited,
      TRAILKEEPER_DATA_DIR: folder,
      TRAILKEEPER_MONGODB_PORT: String(port),
      TRAILKEEPER_TEMPORAL_PORT: String(port + 1),
      TRAILKEEPER_API_PORT: String(port + 2),
      TRAILKEEPER_WORKER_PORT: String(port + 3),
      TRAILKEEPER_SANDBOX_PORT: String(port + 4),
      TRAILKEEPER_MAINTENANCE_PORT: String(port + 9),
    };
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('plays the incident, proves the record and names the cause, and exits 0', async () => {
    const run = start(['--once']);
    await exited(run, 0);
    expect(run.output()).toContain('the run is closed: COMPLETE');
    expect(run.output()).toMatch(/our own check: +verified/);
    expect(run.output()).toMatch(/independent \(Go\): +(verified: origin=|the outside verdict was not run)/);
    expect(run.output()).toContain('diagnosis: established (integration)');
    expect((await stat(join(folder, 'credentials.json'))).mode & 0o777).toBe(0o600);
    const { instances } = JSON.parse(await readFile(join(folder, 'credentials.json'), 'utf8'));
    expect(instances.acme.principals).toMatchObject({ agent: 'sales-agent', auditor: 'akira' });
  });

  it('goes on with its data after it was killed, and stops everything when asked', async () => {
    const credentials = await readFile(join(folder, 'credentials.json'), 'utf8');
    const killed = start();
    await killed.said('api: ready');
    killed.process.kill('SIGKILL');
    await killed.ended;

    const again = start();
    await again.said('Ctrl-C ends all of it');
    expect(again.output()).toMatch(/npx trailkeeper timeline [0-9a-f]{32} --as acme\/auditor/);
    expect(again.output()).toMatch(/npx trailkeeper correlate salesforce 003\w{15} --as acme\/responder/);
    again.process.kill('SIGINT');
    await exited(again, 0);
    expect(again.output()).toMatch(/our own check: +verified/);
    expect(await readFile(join(folder, 'credentials.json'), 'utf8')).toBe(credentials);
    for (const name of ['MONGODB', 'TEMPORAL', 'API', 'WORKER', 'SANDBOX', 'MAINTENANCE']) {
      const port = Number(env[`TRAILKEEPER_${name}_PORT`]);
      expect(await claimPort({ kind: 'fixed', port, setting: name }, 'a test')).toBe(port);
    }
  });

  it('names the setting of a port that is taken, and leaves nothing running', async () => {
    const taken = createServer();
    const port = Number(env['TRAILKEEPER_WORKER_PORT']);
    await new Promise<void>((done) => taken.listen(port, '127.0.0.1', done));
    try {
      const run = start(['--once']);
      expect(await run.ended).toBe(1);
      expect(run.output()).toContain('PORT_TAKEN');
      expect(run.output()).toContain('TRAILKEEPER_WORKER_PORT');
    } finally {
      taken.close();
    }
    const mongodb = Number(env['TRAILKEEPER_MONGODB_PORT']);
    expect(await claimPort({ kind: 'fixed', port: mongodb, setting: '' }, 'a test')).toBe(mongodb);
  });
});
