/** Archiving, verifying and rebuilding a log of five times the size takes no more memory. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { emitterOf } from '../trail/events.ts';
import { loseInstance } from './loss.ts';
import { openTestArchive, type TestArchive } from './open.ts';
import type { RecoveryOrder } from './recoveryProcess.ts';

const small = 2000;
const large = 10_000;
/** Of what is in use at most; a log that was held as a whole would make it five. */
const growthMax = 1.5;

describe('the memory that an archive takes', () => {
  let test: TestArchive;
  const next = emitterOf('memory');
  const text = 'the quick brown fox jumps over the lazy dog '.repeat(12);
  let size = 0;
  beforeAll(async () => {
    test = await openTestArchive();
  });
  afterAll(() => test.close());

  const grow = async (to: number): Promise<void> => {
    for (; size < to; size += 500)
      await test.trail.writer.append(
        Array.from({ length: 500 }, (_, at) => next({ parts: [{ name: 'after', content: `${text}${size + at}` }] })),
        'platform',
      );
  };

  const measured = async (task: RecoveryOrder['task']): Promise<number> => {
    const order: RecoveryOrder = {
      task,
      uris: { archiver: test.database.uriOf('archiver'), admin: inject('mongodbAdminUri') },
      instance: test.instance,
      origin: test.origin,
      vkey: test.trail.vkey,
      folder: test.folder,
      size,
    };
    const script = join(import.meta.dirname, 'recoveryProcess.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script, JSON.stringify(order)]);
    return (JSON.parse(stdout.trim().split('\n').at(-1)!) as { liveBytesMax: number }).liveBytesMax;
  };

  it('does not grow with the log', async () => {
    await grow(small);
    const ofSmall = { archive: await measured('archive'), verify: await measured('verify') };
    await grow(large);
    const ofLarge = { archive: await measured('archive'), verify: await measured('verify') };
    for (const task of ['archive', 'verify'] as const)
      expect([task, ofLarge[task] / ofSmall[task]]).toEqual([task, expect.any(Number)]);
    expect(ofLarge.archive / ofSmall.archive).toBeLessThan(growthMax);
    expect(ofLarge.verify / ofSmall.verify).toBeLessThan(growthMax);
    await loseInstance(test.database.admin, test.instance, test.origin);
    const rebuilt = await measured('rebuild');
    console.log('live bytes', { ofSmall, ofLarge, rebuilt });
    expect(rebuilt / ofSmall.verify).toBeLessThan(2 * growthMax);
  });
});
