/**
 * The table of faults of an export: at each of its four entries, the write that fails and is not there, the write that is
 * there and whose answer is lost; once, and for good. What holds after each: nothing leaves that is not recorded; a whole
 * pack stands in the log with its digest; no entry stands there twice; the same call again is never wrong.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EventInput } from '../../schema/event.ts';
import { TrailError } from '../../trail/errors.ts';
import { newCorrelationId, newEventId } from '../../trail/recorder.ts';
import type { LogWriter } from '../../trail/writer.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { emitterOf } from '../trail/events.ts';
import { ask, askDocument, memberNamed, membersOf, pathOf, sha256, verified } from './packs.ts';

let api: TestApi;
let writer: LogWriter;
let append: LogWriter['append'];
const next = emitterOf('faults');
const chain = { correlationId: newCorrelationId() };
const large = { correlationId: newCorrelationId() };
const key = () => ['--key', api.trails.acme.vkey];

beforeAll(async () => {
  // An export that can't be recorded holds its slot while it is tried again.
  api = await openTestApi({ limits: { evidencePacksMax: 50, evidencePacksPerPrincipalMax: 50 } });
  await api.trails.acme.writer.append([next(chain), next(chain)], 'platform');
  writer = (await api.services.open(api.ids.acme)).trail.writer;
  append = writer.append.bind(writer);
  await (await api.fetch(pathOf(await ask(api, chain)))).arrayBuffer();
});
afterEach(() => {
  writer.append = append;
});
afterAll(() => api.close());

type Phase = 'intent' | 'attempt' | 'outcome' | 'verified';

/** So many appends of this phase fail: before anything is written, or with the answer alone. */
const failing = (phase: Phase, how: 'not persisted' | 'persisted', times: number): void => {
  let left = times;
  const fails = ([event]: readonly EventInput[]) =>
    event?.action === 'evidence.export' && event.phase === phase && left > 0;
  writer.append = async (events, ...rest) => {
    if (!fails(events)) return append(events, ...rest);
    left -= 1;
    if (how === 'persisted') await append(events, ...rest);
    throw new TrailError('TRAIL_UNAVAILABLE', 'injected');
  };
};

const phasesOf = async (id: string): Promise<string[]> => {
  const { reader } = api.trails.acme;
  await reader.fresh(20_000);
  const found = await reader.find({ emitter: `platform/evidence/${id}` }, { limit: 10 });
  return found.map(({ entry }) => `${entry.phase}${entry.outcome ? ` ${entry.outcome}` : ''}`);
};
const whole = ['intent', 'attempt', 'outcome success', 'verified success'];
const forGood = 1000;

const fetched = async (path: string): Promise<{ status: number; pack: Buffer | undefined }> => {
  const response = await api.fetch(path);
  const pack = await response.arrayBuffer().then(
    (bytes) => Buffer.from(bytes),
    () => undefined,
  );
  return { status: response.status, pack };
};

describe.each(['not persisted', 'persisted'] as const)(
  'the answer to an append is lost, and the entry is %s',
  (how) => {
    it('when it is asked for: the same call again asks for the same pack', async () => {
      const id = newEventId();
      failing('intent', how, 1);
      const first = await api.ask(askDocument, { input: { id, ...chain } });
      expect(first.errors?.[0]?.extensions).toMatchObject({ code: 'TRAIL_UNAVAILABLE', retryable: true });
      const asked = await ask(api, { id, ...chain });
      expect((await fetched(pathOf(asked))).status).toBe(200);
      await expect.poll(() => phasesOf(id), { timeout: 60_000 }).toEqual(whole);
    });

    it.each(['attempt', 'outcome', 'verified'] as const)(
      'at its %s, once: the pack is whole, and recorded once',
      async (phase) => {
        const asked = await ask(api, chain);
        failing(phase, how, 1);
        const { pack } = await fetched(pathOf(asked));
        expect((await verified(pack!, ...key())).exit).toBe(0);
        await expect.poll(() => phasesOf(asked.id), { timeout: 60_000 }).toEqual(whole);
      },
    );

    it('at its attempt, for good: nothing leaves', async () => {
      const asked = await ask(api, chain);
      failing('attempt', how, forGood);
      const { status, pack } = await fetched(pathOf(asked));
      expect([status, JSON.parse(pack!.toString()).errors[0].extensions.code]).toEqual([503, 'TRAIL_UNAVAILABLE']);
      writer.append = append;
      // Where the attempt stands in the log, somebody may have had what followed: the link stays used.
      const again = await fetched(pathOf(asked));
      expect(again.status).toBe(how === 'persisted' ? 410 : 200);
    });

    it('at its outcome, for good: the manifest does not leave, so there is no pack', async () => {
      const asked = await ask(api, chain);
      failing('outcome', how, forGood);
      const response = await api.fetch(pathOf(asked));
      await expect(response.arrayBuffer()).rejects.toThrow(/terminated|aborted|closed/);
      expect(await phasesOf(asked.id)).toEqual(how === 'persisted' ? whole.slice(0, 3) : whole.slice(0, 2));
    });

    it('at its end, for good: the pack is whole, and its digest stands in the log', async () => {
      const asked = await ask(api, chain);
      failing('verified', how, forGood);
      const { pack } = await fetched(pathOf(asked));
      expect((await verified(pack!, ...key())).exit).toBe(0);
      const { reader } = api.trails.acme;
      await reader.fresh(20_000);
      const digest = sha256(memberNamed(await membersOf(pack!), 'manifest').bytes);
      const found = await reader.find({ emitter: `platform/evidence/${asked.id}`, phase: 'outcome' }, { limit: 10 });
      expect(found.map(({ entry }) => entry.parametersDigest)).toEqual([digest]);
    });
  },
);

describe('a process that is told to stop', () => {
  it('ends the packs that are being fetched, and records that they were not made', async () => {
    for (let i = 0; i < 5; i += 1)
      await api.trails.acme.writer.append(
        [next({ ...large, parts: [{ name: 'after', content: randomBytes(2_000_000).toString('base64') }] })],
        'platform',
      );
    const asked = await ask(api, large);
    const response = await api.fetch(pathOf(asked));
    await response.body!.getReader().read();
    await api.api.stop(1000);
    expect(await phasesOf(asked.id)).toEqual(['intent', 'attempt', 'outcome failure']);
  });
});
