/** Processes that append to a log (logClient.ts), and what they were told. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Receipt } from '../../trail/append-item.ts';
import type { LogClientSetup } from './logClient.ts';
import { until } from './until.ts';

export interface LogClient {
  /** What it wrote down so far. */
  receipts(): Receipt[];
  /** Resolves once it has written down so many more than now. */
  more(count: number): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** As `kill -9` does. */
  kill(): Promise<void>;
  /** It settles what is under way. Throws what it said where it did not end well. */
  stop(): Promise<void>;
}

export const startLogClient = (setup: Omit<LogClientSetup, 'receipts'>, folder: string): LogClient => {
  const path = join(folder, `${setup.name}.jsonl`);
  const child: ChildProcess = spawn(process.execPath, [join(import.meta.dirname, 'logClient.ts')], {
    env: { ...process.env, LOG_CLIENT: JSON.stringify({ ...setup, receipts: path }) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const receipts = (): Receipt[] => {
    let text = '';
    try {
      text = readFileSync(path, 'utf8');
    } catch {
      // It has written down nothing yet.
    }
    // The last line of a killed process may be cut off; it was not told to anybody then.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Receipt);
  };
  return {
    receipts,
    async more(count) {
      const wanted = receipts().length + count;
      await until(() => {
        if (child.exitCode !== null) throw new Error(`the process ended: ${said}`);
        if (receipts().length < wanted) throw new Error(`still ${receipts().length} of ${wanted} receipts`);
      });
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      if (code !== 0) throw new Error(`the process ended with ${code}: ${said}`);
    },
  };
};
