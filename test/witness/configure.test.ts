/** Witnesses set through the API, and the loop of a worker that asks them, with its alerts in the log. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { encodeVkey, noteKey } from '../../domain/tree/note.ts';
import type { LogLine } from '../../api/log.ts';
import { startWitnessing } from '../../stack/witnessing.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { isThere } from '../setup/programs.ts';
import { emitterOf } from '../trail/events.ts';
import { litewitness, startWitness, type Witness } from './litewitness.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api?.close());

const configure = `mutation Configure($input: ConfigureWitnessesInput!) {
  configureWitnesses(input: $input) { witnesses quorum index }
}`;
const state = '{ witnesses { quorum withinMs index size quorumSize witnesses { name size contradiction { kind } } } }';
const vkey = encodeCosignerVkey(cosignerKey('witness.example/w', Buffer.alloc(32, 1)));
const url = 'https://witness.example';
const input = { witnesses: [{ vkey, url }], quorum: 1, withinMs: 60_000 };
const set = (changes: object, as: 'admin' | 'auditor' | 'agent' = 'admin') =>
  api.ask(configure, { input: { ...input, ...changes } }, as);

describe('the witnesses of an instance', () => {
  it('are none before they are set', async () => {
    expect((await api.ask(state)).data).toEqual({ witnesses: null });
  });

  it('are set by an administrator, by a control entry that is recorded', async () => {
    const { index } = (await set({})).data.configureWitnesses;
    const { entry } = (await api.trails.acme.reader.at(index))!;
    expect([entry.action, entry.actor.principal, entry.control]).toEqual([
      'witness.configure',
      expect.any(String),
      { change: 'witness.configure', witnesses: [{ vkey, url }], threshold: 1, withinMs: 60_000 },
    ]);
    expect((await api.ask(state)).data.witnesses).toMatchObject({ quorum: 1, index, quorumSize: 0 });
    // Of one instance alone.
    expect((await api.ask(state, {}, { instance: 'globex', role: 'auditor' })).data.witnesses).toBeNull();
  });

  it.each(['auditor', 'agent'] as const)('are not set by the role %s', async (role) => {
    const { errors } = await set({}, role);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it.each([
    ['an address that is not https', { witnesses: [{ vkey, url: 'http://witness.example' }] }],
    ['credentials in the address', { witnesses: [{ vkey, url: 'https://user:pass@witness.example' }] }],
    ['the key of a log', { witnesses: [{ vkey: encodeVkey(noteKey('log.example/x', Buffer.alloc(32, 1))), url }] }],
    [
      'a key twice',
      {
        witnesses: [
          { vkey, url },
          { vkey, url: 'https://other.example' },
        ],
        quorum: 2,
      },
    ],
    ['a quorum of more than there are', { quorum: 2 }],
    ['no quorum at all', { quorum: 0 }],
    ['less than a second', { withinMs: 10 }],
    ['seventeen of them', { witnesses: Array.from({ length: 17 }, () => ({ vkey, url })) }],
  ])('are refused before they are recorded with %s', async (_what, changes) => {
    const before = await api.trails.acme.reader.findLatest({ action: 'witness.configure' }, 100);
    const { errors } = await set(changes);
    expect(errors?.[0]?.extensions.code).toBe('BAD_INPUT');
    expect(errors?.[0]?.message).not.toContain('pass');
    expect(await api.trails.acme.reader.findLatest({ action: 'witness.configure' }, 100)).toHaveLength(before.length);
  });
});

describe.skipIf(!isThere(litewitness))('the loop of a worker', () => {
  let witness: Witness;
  let loop: ReturnType<typeof startWitnessing>;
  const lines: LogLine[] = [];
  const next = emitterOf('witnessed-by-worker');

  beforeAll(async () => {
    const { trails, ids, database } = api;
    witness = await startWitness('witness.example/worker');
    witness.add(trails.acme.origin, trails.acme.vkey);
    loop = startWitnessing({
      client: database.clients.witness,
      trailOf: async (instance) => {
        if (instance === ids.acme) return trails.acme;
        throw new Error('an instance of another test');
      },
      intervalMs: 100,
      loopback: true,
      log: (line) => {
        if (line['instance'] === ids.acme) lines.push(line);
      },
    });
  });
  afterAll(async () => {
    await loop?.stop();
    await witness?.close();
  });

  const alerts = async () => {
    const { reader } = api.trails.acme;
    await reader.fresh(10_000);
    return (await reader.find({ action: 'witness.quorum' }, { limit: 10 })).map(({ entry }) => entry.outcome);
  };
  /** Waits for the event; the time-out of the test ends the wait. */
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
  };

  it('has new checkpoints cosigned without being asked', async () => {
    await set({ witnesses: [{ vkey: witness.vkey, url: witness.url }] });
    await api.trails.acme.writer.append([next()], 'platform');
    const size = await api.trails.acme.reader.size();
    await until(async () => (await api.ask(state)).data.witnesses.quorumSize >= size);
    expect((await api.ask(state)).data.witnesses.witnesses).toMatchObject([
      { name: witness.name, contradiction: null },
    ]);
  });

  it('records once that the quorum is missed, and once that it is there again', async () => {
    await set({ witnesses: [{ vkey: witness.vkey, url: witness.url }], withinMs: 1000 });
    await witness.stop();
    await api.trails.acme.writer.append([next()], 'platform');
    await until(async () => (await alerts()).length > 0);
    await witness.start();
    await until(async () => (await alerts()).length > 1);
    expect(await alerts()).toEqual(['failure', 'success']);
    expect(lines.filter(({ message }) => message.includes('quorum')).map(({ level }) => level)).toEqual([
      'error',
      'info',
    ]);
  });
});
