/** One of our own processes (API, worker) as a child that is ready when its health endpoint says so. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endOrphan, startChild, type ServerChild } from '../servers/child.ts';
import { ServersError } from '../servers/errors.ts';
import { claimPort } from '../servers/ports.ts';

export interface ServiceSpec {
  readonly name: 'api' | 'worker' | 'maintenance';
  /** Entry point, from the repository root. */
  readonly entry: string;
  readonly env: NodeJS.ProcessEnv;
  readonly port: number;
  /** The setting that chose the port. */
  readonly portSetting: string;
  readonly healthUrl: string;
  readonly dataFolder: string;
  readonly say: (line: string) => void;
}

const repositoryRoot = resolve(import.meta.dirname, '../..');
const readyWithinMs = 300_000;
const pollMs = 100;
const sayEveryMs = 5000;

/** Throws ServersError PORT_TAKEN, or SERVER_FAILED where the process ends or does not get ready. */
export const startService = async (spec: ServiceSpec): Promise<ServerChild> => {
  const folder = join(spec.dataFolder, spec.name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await endOrphan(folder, spec.name);
  await claimPort({ kind: 'fixed', port: spec.port, setting: spec.portSetting }, spec.name);
  const child = startChild({
    name: spec.name,
    program: process.execPath,
    args: [join(repositoryRoot, spec.entry), `--data-folder=${folder}`],
    folder,
    env: spec.env,
  });
  await ready(spec, child);
  return child;
};

const ready = async (spec: ServiceSpec, child: ServerChild): Promise<void> => {
  const began = performance.now();
  let said = began;
  let ended = false;
  void child.ended.then(() => (ended = true));
  for (;;) {
    const answer = await fetch(spec.healthUrl).catch(() => undefined);
    if (answer?.ok) return;
    if (ended) throw new ServersError('SERVER_FAILED', `The ${spec.name} ended while starting. ${child.logTail()}`);
    const now = performance.now();
    if (now - began > readyWithinMs) {
      await child.stop();
      throw new ServersError('SERVER_FAILED', `The ${spec.name} did not get ready. ${child.logTail()}`);
    }
    if (now - said > sayEveryMs) {
      said = now;
      spec.say(`${spec.name}: starting, ${Math.round((now - began) / 1000)} s`);
    }
    await delay(pollMs);
  }
};
