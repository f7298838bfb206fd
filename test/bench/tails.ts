/** The tails (index, tiles, control state) in a process of their own, as in production: `startTails` starts this file. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { createControlTail } from '../../store/applier.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { createTileTail } from '../../trail/tails/tile-tail.ts';
import type { BenchInstance } from './environment.ts';

export interface RunningTails {
  stop(): Promise<void>;
}

/** Returns once the tails follow the instance's log. */
export async function startTails({ instance, uriOf, keysFolder }: BenchInstance): Promise<RunningTails> {
  const child = fork(import.meta.filename, [instance, keysFolder], {
    env: { ...process.env, PROJECTOR_URI: uriOf('projector'), APPLIER_URI: uriOf('applier') },
  });
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
async function runTails(instance: InstanceId, keysFolder: string): Promise<void> {
  const projector = await MongoClient.connect(process.env['PROJECTOR_URI']!);
  const applier = await MongoClient.connect(process.env['APPLIER_URI']!);
  const keys = await openFileKeyProvider(keysFolder);
  const runner = new TailRunner({
    owner: `bench-${process.pid}`,
    tails: [
      createIndexTail(projector),
      createTileTail(projector),
      createControlTail(applier, keys, async ({ reason }) =>
        console.error(`a control entry is void: ${reason.message}`),
      ),
    ],
    onError: (tail, _instance, error) => console.error(`tail ${tail}:`, error),
  });
  const letGo = once(process, 'disconnect');
  runner.follow(instance);
  process.send!('following');
  await letGo;
  await runner.stop();
  await Promise.all([projector.close(), applier.close()]);
}

if (import.meta.main) await runTails(process.argv[2] as InstanceId, process.argv[3]!);
