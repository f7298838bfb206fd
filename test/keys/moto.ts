/** AWS KMS as moto speaks it, a process of its own on a free port. It does not refuse a disabled key. */
import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf, pythonProgram } from '../setup/programs.ts';

export const moto = await pythonProgram('moto[server,kms]==5.2.5', 'moto_server');

const readyMs = 60_000;

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

export interface RunningMoto {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export const startMoto = async (): Promise<RunningMoto> => {
  const port = await freePort();
  const child = spawn(pathOf(moto), ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  for (const deadline = performance.now() + readyMs; ;) {
    if ((await fetch(`${endpoint}/moto-api/`).catch(() => undefined))?.ok) break;
    if (performance.now() > deadline || child.exitCode !== null) throw new Error('moto did not start');
    await delay(100);
  }
  return {
    endpoint,
    async stop() {
      child.kill();
      await ended;
    },
  };
};
