/** The tails (index and tiles) in a process of their own, as in production: `startTails` starts this very file. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { createTileTail } from '../../trail/tails/tile-tail.ts';
import type { BenchInstance } from './environment.ts';

export interface RunningTails {
  stop(): Promise<void>;
}

/** Returns once the tails follow the instance's log. */
export async function startTails({
  instance,
  uriOf,
}: Pick<BenchInstance, 'instance' | 'uriOf'>): Promise<RunningTails> {
  const child = fork(import.meta.filename, [instance], { env: { ...process.env, TAILS_URI: uriOf('projector') } });
  const ended = once(child, 'exit');
  const answered = await Promise.race([once(child, 'message').then(() => true), ended.then(() => false)]);
  if (!answered) throw new Error('the process of the tails ended before it began');
  return {
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** Ends when the process that started it lets go of the channel, or is gone. */
async function runTails(instance: InstanceId, uri: string): Promise<void> {
  const projector = await MongoClient.connect(uri);
  const runner = new TailRunner({
    owner: `bench-${process.pid}`,
    tails: [createIndexTail(projector), createTileTail(projector)],
    onError: (tail, _instance, error) => console.error(`tail ${tail}:`, error),
  });
  const letGo = once(process, 'disconnect');
  runner.follow(instance);
  process.send!('following');
  await letGo;
  await runner.stop();
  await projector.close();
}

if (import.meta.main) await runTails(process.argv[2] as InstanceId, process.env['TAILS_URI']!);
