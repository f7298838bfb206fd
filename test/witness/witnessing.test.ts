/** Checkpoints submitted to real witnesses: cosigned, kept, counted against the policy, and told about where they are missing. */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Timestamp } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { cosignaturesOn, cosignerKey, encodeCosignerVkey, parseCosignerVkey } from '../../domain/tree/cosignature.ts';
import { mongoAnchor } from '../../trail/anchor.ts';
import { TileReader } from '../../trail/tile-reader.ts';
import { Cosignatures } from '../../trail/witness/cosignatures.ts';
import { submit } from '../../trail/witness/submit.ts';
import { event } from '../trail/events.ts';
import { isThere } from '../setup/programs.ts';
import { litewitness, startWitness, type Witness } from './litewitness.ts';
import { logKeyOf, openWitnessedLog, type WitnessedTestLog } from './open.ts';

const minute = 60_000;

describe.skipIf(!isThere(litewitness))('the checkpoints of a log with witnesses', () => {
  let log: WitnessedTestLog;
  let first: Witness;
  let second: Witness;

  beforeEach(async () => {
    log = await openWitnessedLog();
    first = await startWitness('witness.example/first');
    second = await startWitness('witness.example/second');
    for (const witness of [first, second]) witness.add(log.origin, log.trail.vkey);
  });
  afterEach(async () => {
    await first?.close();
    await second?.close();
    await log?.close();
  });

  const served = async () => {
    const { size, note, cosignatures } = (await log.trail.witnessed.served())!;
    return { size, note: Buffer.from(note), names: cosignatures.map(({ key }) => key.name) };
  };

  it('are cosigned by each, and served with the lines of all', async () => {
    await log.configure([first, second], 2);
    const size = await log.grow(300);
    await log.round();
    const { note, ...rest } = await served();
    expect(rest).toEqual({ size, names: [first.name, second.name] });
    openCheckpoint(note, [logKeyOf(log)], log.origin);
    const keys = [first, second].map(({ vkey }) => parseCosignerVkey(vkey));
    expect(cosignaturesOn(note, keys)).toHaveLength(2);
    expect([first.size(log.origin), second.size(log.origin)]).toEqual([size, size]);
  });

  it('are submitted with a proof from where each witness is, the newest alone', async () => {
    await log.configure([first, second], 1);
    await log.grow(3);
    await log.round();
    await second.stop();
    for (let i = 0; i < 4; i += 1) await log.grow(30);
    await log.round();
    await second.start();
    log.newProcess();
    const size = await log.grow(300);
    await log.round();
    expect(await served()).toMatchObject({ size, names: [first.name, second.name] });
    expect(log.events).toEqual([]);
  });

  it('go on from what a witness says it has, where that was not kept here', async () => {
    await log.configure([first], 1);
    await log.grow(5);
    await log.round();
    await log.database.admin
      .db('tk_control')
      .collection<{ _id: string }>('cosignatures')
      .deleteMany({ origin: log.origin });
    log.newProcess();
    const size = await log.grow(5);
    await log.round();
    expect(await served()).toMatchObject({ size, names: [first.name] });
    expect(log.events).toEqual([]);
  });

  it('are submitted anew where another process submitted a larger one meanwhile, which is no contradiction', async () => {
    await log.configure([first], 1);
    await log.grow(5);
    const { witness: client } = log.database.clients;
    const anchor = mongoAnchor(client);
    const stale = (await anchor.latest(log.origin))!;
    const size = await log.grow(5);
    await log.round();
    const key = parseCosignerVkey(first.vkey);
    const submission = await submit({ key, vkey: first.vkey, url: first.url }, stale, {
      origin: log.origin,
      cosignatures: new Cosignatures(client),
      tiles: new TileReader(log.instance, client),
      newest: () => anchor.latest(log.origin),
      client: { loopback: true, timeoutMs: 20_000 },
    });
    expect(submission).toMatchObject({ kind: 'cosigned', cosignature: { size } });
  });

  it('are served without the quorum only when they waited for it longer than is allowed', async () => {
    await log.configure([first, second], 2, minute);
    const cosigned = await log.grow(5);
    await log.round();
    await second.stop();
    const grown = await log.grow(5);
    await log.round();
    const control = log.database.admin.db('tk_control');
    const at = new Timestamp({ t: Math.floor(Date.now() / 1000) - 3600, i: 1 });
    // What was the newest when the policy came into force goes on to be served, and so it is in the first seconds.
    await control
      .collection<{ _id: string }>('witnesses')
      .updateOne(
        { _id: log.instance },
        { $set: { at: new Timestamp({ t: Math.floor(Date.now() / 1000) + 60, i: 1 }) } },
      );
    expect(await served()).toMatchObject({ size: grown, names: [first.name] });
    await control.collection<{ _id: string }>('witnesses').updateOne({ _id: log.instance }, { $set: { at } });
    expect(await served()).toMatchObject({ size: cosigned, names: [first.name, second.name] });
    // An outsider's tiles and proofs do not depend on it.
    expect(await log.trail.reader.size()).toBe(grown);
    await control
      .collection<{ _id: string }>('anchors')
      .updateMany({ _id: { $gte: `${log.origin}#`, $lt: `${log.origin}$` } }, { $set: { at } });
    expect(await served()).toMatchObject({ size: grown, names: [first.name] });
    // Newer ones wait in their turn; nobody gets a smaller checkpoint than before.
    await log.grow(5);
    expect(await served()).toMatchObject({ size: grown, names: [first.name] });
  });

  it('raise one alert where the quorum is missed, and one where it is there again', async () => {
    await log.configure([first, second], 2, minute);
    await log.grow(5);
    await log.round();
    expect(log.alerts()).toEqual([]);
    await second.stop();
    await log.grow(5);
    await log.round();
    // Nothing is late yet.
    expect(log.alerts()).toEqual([]);
    log.advance(2 * minute);
    await log.round();
    log.advance(minute);
    await log.round();
    log.newProcess();
    log.advance(minute);
    await log.round();
    expect(log.alerts()).toMatchObject([
      { kind: 'quorum', reached: false, threshold: 2, missing: [{ witness: second.name, failure: 'UNREACHABLE' }] },
    ]);
    log.advance(-4 * minute);
    await second.start();
    log.newProcess();
    await log.round();
    await log.round();
    expect(log.alerts().slice(1)).toMatchObject([{ kind: 'quorum', reached: true }]);
    await log.trail.reader.fresh(10_000);
    const recorded = await log.trail.reader.find({ action: 'witness.quorum' }, { limit: 10 });
    expect(recorded.map(({ entry }) => [entry.outcome, entry.actor.kind])).toEqual([
      ['failure', 'platform'],
      ['success', 'platform'],
    ]);
  });

  it('do not count what a key of nobody signed', async () => {
    // The second answers at the address of the first.
    await log.configure([{ vkey: first.vkey, url: second.url }], 1);
    const size = await log.grow(5);
    await log.round();
    const { cosignatures } = await log.trail.witnessed.cosigned((await log.trail.reader.checkpoint())!);
    expect([cosignatures, second.size(log.origin)]).toEqual([[], size]);
  });

  it('are not cosigned by a witness that was not told of the log, which is no contradiction', async () => {
    const stranger = await startWitness('witness.example/stranger');
    try {
      await log.configure([stranger], 1, minute);
      await log.grow(5);
      await log.round();
      log.advance(2 * minute);
      await log.round();
      expect(log.alerts()).toMatchObject([
        { kind: 'quorum', reached: false, missing: [{ witness: stranger.name, failure: 'UNKNOWN_LOG' }] },
      ]);
      await expect(log.grow(1)).resolves.toBeGreaterThan(0);
    } finally {
      await stranger.close();
    }
  });
});

describe('a witness that misbehaves', () => {
  let log: WitnessedTestLog;
  let server: Server;
  let answer: (body: string, url: string) => { status: number; headers?: Record<string, string>; body?: string };
  let asked: string[];

  beforeEach(async () => {
    log = await openWitnessedLog();
    asked = [];
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
      request.on('end', () => {
        asked.push(`${request.method} ${request.url}`);
        const { status, headers = {}, body: text = '' } = answer(body, request.url ?? '');
        response.writeHead(status, headers).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    await log?.close();
  });

  const configureTwo = async (): Promise<void> => {
    const { port } = server.address() as AddressInfo;
    const witnesses = ['odd', 'other'].map((name) => {
      const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
      const vkey = encodeCosignerVkey(cosignerKey(`witness.example/${name}`, publicKey));
      return { vkey, url: `http://127.0.0.1:${port}/${name}` };
    });
    await log.configure(witnesses, 1, minute);
    await log.grow(3);
  };
  const ahead = (url: string) =>
    url.startsWith('/odd/')
      ? { status: 409, headers: { 'content-type': 'text/x.tlog.size' }, body: '999\n' }
      : { status: 500 };

  it('is recorded once, also where the process ended between keeping and recording what it states', async () => {
    answer = (_body, url) => ahead(url);
    await configureTwo();
    log.failRecording(new Error('the process ended'));
    await log.round();
    expect(log.alerts()).toMatchObject([{ kind: 'contradiction', statement: 'ahead', witnessSize: 999 }]);
    log.failRecording(undefined);
    for (let i = 0; i < 2; i += 1) {
      log.newProcess();
      await log.round();
      await log.grow(1);
    }
    await log.trail.reader.fresh(10_000);
    const recorded = await log.trail.reader.find({ action: 'witness.contradict' }, { limit: 10 });
    expect(recorded.map(({ entry }) => entry.outcome)).toEqual(['failure']);
  });

  it('keeps nobody from being told that the quorum is missed, whatever fails of it', async () => {
    answer = (_body, url) => ahead(url);
    await configureTwo();
    log.failRecording(new Error('the log is away'));
    log.advance(2 * minute);
    await log.round();
    expect(log.events.filter(({ kind }) => kind === 'error')).toHaveLength(1);
    expect(log.alerts().map(({ kind }) => kind)).toEqual(['contradiction', 'quorum']);
  });

  const failureAfterRound = async () => {
    const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await log.configure([{ vkey: encodeCosignerVkey(cosignerKey('witness.example/odd', publicKey)), url }], 1, minute);
    await log.grow(3);
    await log.round();
    log.advance(2 * minute);
    await log.round();
    const alert = log.alerts().find(({ kind }) => kind === 'quorum');
    return alert?.kind === 'quorum' ? alert.missing[0]?.failure : undefined;
  };

  it('can not send us elsewhere', async () => {
    answer = () => ({ status: 307, headers: { location: '/elsewhere' } });
    expect(await failureAfterRound()).toBe('REFUSED');
    expect(new Set(asked)).toEqual(new Set(['POST /add-checkpoint']));
  });

  it('can not fill our memory', async () => {
    answer = () => ({ status: 200, body: 'x'.repeat(1_000_000) });
    expect(await failureAfterRound()).toBe('UNREACHABLE');
  });

  it.each([
    ['no signature line', 'hello\n'],
    ['a line by another key', `\u2014 somebody ${Buffer.alloc(76).toString('base64')}\n`],
    ['nothing', ''],
  ])('gets nothing kept for %s', async (_what, body) => {
    answer = () => ({ status: 200, body });
    expect(await failureAfterRound()).toBe('MALFORMED');
    expect((await log.trail.witnessed.served())?.cosignatures).toEqual([]);
  });

  it('can not lead us in a circle', async () => {
    answer = (body) => ({
      status: 409,
      headers: { 'content-type': 'text/x.tlog.size' },
      body: body.startsWith('old 0\n') ? '1\n' : '0\n',
    });
    expect(await failureAfterRound()).toBe('REFUSED');
  });

  it('stops the log where no quorum is left without it', async () => {
    answer = () => ({ status: 409, headers: { 'content-type': 'text/x.tlog.size' }, body: '999\n' });
    await failureAfterRound();
    const append = async () => (await log.another()).writer.append([event()], 'platform');
    await expect(append()).rejects.toMatchObject({ code: 'LOG_BEHIND_ANCHOR' });
  });
});
