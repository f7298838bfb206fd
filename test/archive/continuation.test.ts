/** A log that was restored from its archive: read-only, until two people let it go on as another. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { createControlTail } from '../../store/applier.ts';
import { formerLogs } from '../../store/former-logs.ts';
import { findInstance } from '../../store/instances.ts';
import { rebuildInstance } from '../../store/rebuild-instance.ts';
import { folderStore } from '../../trail/archive/folder-store.ts';
import { archivedSize } from '../../trail/archive/state.ts';
import type { ArchiveStore } from '../../trail/archive/store.ts';
import { verifyArchive } from '../../trail/archive/verify.ts';
import { listVerifierKeys } from '../../trail/keys/signing.ts';
import { ArchiveTail } from '../../trail/tails/archive-tail.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { isConsistent } from '../faults/append-consistency.ts';
import { emitterOf } from '../trail/events.ts';
import { loseInstance } from './loss.ts';

const state = '{ archive { size closed { origin size knownSize approvedBy } } }';
const approve =
  'mutation ($input: ContinueLogInput!) { continueLog(input: $input) { continued approvedBy origin index } }';

describe('a log that was restored from its archive', () => {
  let api: TestApi;
  let folder: string;
  let store: ArchiveStore;
  let origin: string;
  let vkey: string;
  let kept: Buffer;
  let size: number;
  let tails: TailRunner;

  const keysOf = async () =>
    (await listVerifierKeys(api.database.clients.reader, api.ids.acme)).map((key) => parseVkey(key.vkey));

  /** Archives everything that is anchored under the origin. */
  const archiveAll = async (of: string, target: number): Promise<void> => {
    const failures: unknown[] = [];
    const tail = new ArchiveTail({
      owner: `continuation-${of}-${target}`,
      client: api.database.clients.archiver,
      open: async () => ({
        store,
        origin: of,
        keys: await keysOf(),
        gatherMs: 0,
        lagMsMax: 60_000,
      }),
      onLag: async () => undefined,
      onError: (_tail, _instance, error) => failures.push(error),
      nowMs: Date.now,
    });
    tail.follow(api.ids.acme);
    while ((await archivedSize(api.database.clients.reader, api.ids.acme)) < target) {
      if (failures.length > 0) throw failures[0];
      await delay(20);
    }
    await tail.stop();
  };

  const rebuild = (notes: readonly Buffer[] = []) =>
    rebuildInstance({
      store,
      instance: api.ids.acme,
      admin: api.database.admin,
      trust: { kind: 'its-own' },
      kept: notes,
      keys: api.keys,
      progress: () => undefined,
    });

  const startTails = (): TailRunner => {
    const { projector, applier } = api.database.clients;
    const runner = new TailRunner({
      owner: `again-${api.ids.acme}`,
      tails: [createIndexTail(projector), createControlTail(applier, api.keys, async () => undefined)],
      onError: () => undefined,
    });
    runner.follow(api.ids.acme);
    return runner;
  };

  beforeAll(async () => {
    api = await openTestApi();
    folder = await mkdtemp(join(tmpdir(), 'trailkeeper-archive-'));
    store = folderStore(folder);
    const trail = api.trails.acme;
    ({ origin, vkey } = trail);
    const next = emitterOf('continued');
    await trail.writer.append([next(), next()], 'platform');
    size = await trail.reader.size();
    await archiveAll(origin, size);
    await trail.writer.append([next(), next(), next()], 'platform');
    kept = Buffer.from((await trail.reader.checkpoint())!.note);
    await api.tails.stop();
    await loseInstance(api.database.admin, api.ids.acme, origin);
    await rebuild([kept]);
    tails = startTails();
  });
  afterAll(async () => {
    await tails.stop();
    await api.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('says what it is, what it holds and what is known to be lost', async () => {
    const { data } = await api.ask(state, {}, 'admin');
    expect(data.archive).toEqual({ size, closed: { origin, size, knownSize: size + 3, approvedBy: [] } });
  });

  it('takes nothing: no event, no change, no kill switch', async () => {
    for (const [query, variables, role] of [
      ['mutation { suspendInstance(reason: "x") { suspended } }', {}, 'responder'],
      ['mutation { configureArchive(input: { acknowledge: LOG, lagMsMax: 5000 }) { size } }', {}, 'admin'],
    ] as const) {
      const { errors } = await api.ask(query, variables, role);
      expect(errors).toMatchObject([{ extensions: { code: 'LOG_CLOSED', retryable: false } }]);
    }
    await expect(api.trails.acme.writer.append([emitterOf('stale')()], 'platform')).rejects.toMatchObject({
      code: 'LOG_CLOSED',
    });
  });

  it('is let go on by nobody who may not, and not for another size', async () => {
    const input = { size, reason: 'restored' };
    for (const role of ['agent', 'auditor', 'operator', 'responder', 'approver'] as const)
      expect((await api.ask(approve, { input }, role)).errors).toBeDefined();
    expect((await api.ask(approve, { input }, { instance: 'globex', role: 'admin' })).errors).toMatchObject([
      { extensions: { code: 'BAD_INPUT' } },
    ]);
    expect((await api.ask(approve, { input: { ...input, size: size + 3 } }, 'admin')).errors).toMatchObject([
      { extensions: { code: 'BAD_INPUT' } },
    ]);
    expect((await api.ask(state, {}, 'admin')).data.archive.closed.approvedBy).toEqual([]);
  });

  it('waits for a second person, whoever asks how often', async () => {
    const input = { size, reason: 'restored after the loss of the data centre' };
    for (const _again of [1, 2]) {
      const { data } = await api.ask(approve, { input }, 'admin');
      expect(data.continueLog).toEqual({ continued: false, approvedBy: ['ines'], origin: null, index: null });
    }
    expect(await findInstance(api.database.clients.reader, api.ids.acme)).toMatchObject({ origin });
  });

  it('goes on under a new origin and key, and its first entry says what was before', async () => {
    const input = { size, reason: 'checked against the kept checkpoint' };
    const { data, errors } = await api.ask(approve, { input }, 'compliance');
    expect(errors).toBeUndefined();
    expect(data.continueLog).toMatchObject({ continued: true, approvedBy: ['ines', 'carla'], index: size });
    const next = data.continueLog.origin as string;
    expect(next).toMatch(/^localhost\/log\/[0-9a-f]{32}$/);
    expect(next).not.toBe(origin);
    expect((await api.ask(state, {}, 'admin')).data.archive).toEqual({ size, closed: null });

    const { trail } = await api.services.open(api.ids.acme);
    expect(trail.origin).toBe(next);
    expect(trail.vkey).not.toContain(vkey.split('+')[2]);
    const first = await trail.reader.at(size);
    expect(first!.entry.control).toEqual({
      change: 'log.continue',
      logId: next.split('/').at(-1),
      origin: next,
      former: { origin, vkey, checkpoint: expect.stringContaining(`${origin}\n${size}\n`) },
      missing: { first: size, size: size + 3 },
      approvedBy: ['ines', 'carla'],
    });
    expect(await formerLogs(api.database.clients.reader, api.ids.acme)).toEqual([{ origin, vkey, until: size }]);
  });

  it('keeps the tree: what was signed before still verifies, under the key of before', async () => {
    const { trail } = await api.services.open(api.ids.acme);
    const control = (await trail.reader.at(size))!.entry.control!;
    if (control.change !== 'log.continue') throw new Error('another entry');
    const before = openCheckpoint(Buffer.from(control.former.checkpoint), [parseVkey(vkey)], origin);
    const now = (await trail.reader.openedCheckpoint())!;
    expect(before.size).toBe(size);
    expect(now.size).toBeGreaterThan(size);
    expect(await isConsistent(before, now, trail.reader.tiles.subtrees())).toBe(true);
    const { data } = await api.ask('{ verifyLog { outcome size } }', {}, 'auditor');
    expect(data.verifyLog.outcome).toBe('verified');
  });

  it('is archived where it was, and can be rebuilt again', async () => {
    const { trail } = await api.services.open(api.ids.acme);
    const now = await trail.reader.size();
    await archiveAll(trail.origin, now);
    const keys = await keysOf();
    const trust = { kind: 'trusted' as const, keys };
    expect(await verifyArchive(store, { trust })).toMatchObject({
      outcome: 'verified',
      origin: trail.origin,
      size: now,
    });
    await tails.stop();
    await loseInstance(api.database.admin, api.ids.acme, 'localhost/log/');
    const { closing } = await rebuild();
    expect(closing).toMatchObject({ origin: trail.origin, checkpoint: { size: now } });
    expect(await findInstance(api.database.clients.reader, api.ids.acme)).toMatchObject({ origin: trail.origin });
    tails = startTails();
  });
});
