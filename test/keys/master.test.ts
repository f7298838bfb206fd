/** A rotation of the master key in files, where its process dies or is frozen between two writes while others go on. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { readKeyFiles } from '../../cli/keys/folder.ts';
import { unopenable } from '../../domain/keys/backup.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type * as DurableFile from '../../trail/keys/durable-file.ts';
import { FileKeyProvider } from '../../trail/keys/file-provider.ts';
import type { EpochReference } from '../../trail/keys/provider.ts';

/** What happens at the next write of a kind, once: before and after it. */
const next = vi.hoisted(() => ({
  rename: {} as { before?: () => Promise<void>; after?: () => Promise<void> },
  replace: {} as { before?: () => Promise<void> },
}));
vi.mock(import('../../trail/keys/durable-file.ts'), async (original) => {
  const real: typeof DurableFile = await original();
  return {
    ...real,
    renameFile: async (from, to) => {
      const { before, after } = next.rename;
      next.rename = {};
      await before?.();
      const renamed = await real.renameFile(from, to);
      await after?.();
      return renamed;
    },
    replaceFile: async (path, bytes) => {
      const { before } = next.replace;
      next.replace = {};
      await before?.();
      await real.replaceFile(path, bytes);
    },
  };
});

const acme = 'acme' as InstanceId;
let root: string;
let folder: string;
let first: EpochReference;
let key: Buffer;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'trailkeeper-master-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'keys-'));
  const provider = anew();
  first = await provider.createEpoch(acme, 1);
  key = await bytesOf(first);
});
afterEach(() => {
  next.rename = {};
  next.replace = {};
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A process with nothing in memory. */
const anew = () => new FileKeyProvider(folder);
const bytesOf = async (reference: EpochReference): Promise<Buffer> => (await anew().unlock(reference)).export();

it('a key that was made just before the new one took its place outlives a crash at that line', async () => {
  await anew().master.prepare([]);
  let made: EpochReference | undefined;
  let bytes: Buffer | undefined;
  next.rename = {
    before: async () => {
      made = await anew().createEpoch(acme, 2);
      bytes = await bytesOf(made);
    },
    after: () => Promise.reject(new Error('the process died')),
  };
  await expect(anew().master.complete([])).rejects.toThrow('the process died');
  expect(await bytesOf(made!)).toEqual(bytes);
  // A backup that is made now holds what opens it.
  const copied = await readKeyFiles(folder);
  expect(copied.size).toBe(4);
  expect(unopenable(copied)).toEqual([]);
  await anew().master.complete([]);
  expect(await bytesOf(made!)).toEqual(bytes);
  expect(await bytesOf(first)).toEqual(key);
  expect((await readdir(folder)).toSorted()).toEqual(['acme', 'master.key']);
});

it('a process that was frozen until a later rotation has begun does not end that one', async () => {
  await anew().master.prepare([]);
  let later: { from: string; to: string } | undefined;
  next.replace = {
    before: async () => {
      await anew().master.complete([]);
      later = await anew().master.prepare([]);
    },
  };
  await anew().master.complete([]);
  expect(await bytesOf(first)).toEqual(key);
  expect(await anew().master.prepare([])).toEqual(later);
  await anew().master.complete([]);
  expect(await bytesOf(first)).toEqual(key);
  expect((await anew().master.prepare([])).from).toBe(later!.to);
});

it('a key that is made while the former master key is still aside ends under the new one', async () => {
  await anew().master.prepare([]);
  const maker = anew();
  let made: Promise<EpochReference> | undefined;
  next.rename = {
    before: async () => {
      made = maker.createEpoch(acme, 3);
      await made;
    },
  };
  await anew().master.complete([]);
  expect(await bytesOf((await made)!)).toHaveLength(32);
});
