import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { event } from '../trail/events.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { cliOf } from '../cli/cli.ts';
import { marker, nobodys, populate, sizeOf, type Ids } from './victim.ts';

let api: TestApi;
let theirs: Ids;
let theirLog: string;
let sizeBefore: number;
beforeAll(async () => {
  api = await openTestApi();
  await populate(api, 'acme');
  theirs = await populate(api, 'globex');
  theirLog = api.trails.globex.origin.split('/').at(-1)!;
  sizeBefore = await sizeOf(api, 'globex');
});
afterAll(() => api.close());

const answerOf = async (path: string, init: RequestInit = {}) => {
  const response = await api.fetch(path, init);
  return { status: response.status, text: await response.text() };
};

describe('the doors that are not GraphQL', () => {
  it.each(['checkpoint', 'tile/0/000.p/1', 'tile/entries/000.p/1', 'tile/1/000'])(
    'serve nothing of another log: %s',
    async (path) => {
      const [foreign, absent] = [
        await answerOf(`/log/${theirLog}/${path}`),
        await answerOf(`/log/${'0'.repeat(32)}/${path}`),
      ];
      expect(foreign).toEqual(absent);
      expect(foreign.status).toBe(404);
    },
  );

  it('are not led astray by spellings of another log', async () => {
    const own = api.trails.acme.origin.split('/').at(-1)!;
    for (const path of [
      `/log/${own}/../${theirLog}/checkpoint`,
      `/log/${own}/%2e%2e/${theirLog}/checkpoint`,
      `/log/${theirLog.toUpperCase()}/checkpoint`,
      `/log/${theirLog}%00/checkpoint`,
      `//log/${theirLog}/checkpoint`,
      `/log/${own},${theirLog}/checkpoint`,
    ])
      expect([path, (await answerOf(path)).status]).toEqual([path, 404]);
  });

  it('hand out no evidence pack of another instance', async () => {
    const [foreign, absent] = [
      await answerOf(`/evidence/${theirs.pack}`),
      await answerOf(`/evidence/${nobodys().pack}`),
    ];
    expect(foreign).toEqual(absent);
    expect(foreign.status).toBe(404);
  });

  it('take no event for a run of another instance', async () => {
    const take = async (runId: string) => {
      const line = {
        id: uuidv7(),
        correlationId: theirs.correlation,
        spanId: 'cd'.repeat(8),
        runId,
        emitter: { id: `isolation/${uuidv7()}`, sequence: 1 },
        eventTime: new Date().toISOString(),
        actor: { principal: 'sales-agent', kind: 'agent' },
        action: 'tool.call',
        phase: 'observation',
        system: 'agent',
      };
      const response = await api.fetch(
        '/v1/events',
        { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: `${JSON.stringify(line)}\n` },
        'agent',
      );
      return (await response.text()).replaceAll(runId, '<run>').replaceAll(line.id, '<id>');
    };
    const [foreign, absent] = [await take(theirs.run), await take(nobodys().run)];
    expect(foreign).toContain('"refused"');
    expect(foreign).toBe(absent);
  });

  it('record in the caller’s own log what was looked for in vain', async () => {
    await answerOf(`/log/${theirLog}/checkpoint`);
    const { reader } = api.trails.acme;
    await reader.fresh(60_000);
    expect(await reader.find({ action: 'trail.read', outcome: 'failure' }, { limit: 10 })).not.toEqual([]);
  });
});

describe('a subscription', () => {
  it('to what another instance has brings what the caller’s own has under the same ids, and nothing else', async () => {
    const correlation = randomBytes(16).toString('hex');
    const response = await api.fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({
        query: 'subscription ($filter: EventFilter) { events(filter: $filter) { node { id parts { content } } } }',
        variables: { filter: { correlationId: correlation } },
      }),
    });
    const stream = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const until = async (word: string) => {
      while (!text.includes(word)) {
        const { value, done } = await stream.read();
        if (done) throw new Error(`it ended: ${text}`);
        text += value;
      }
    };
    const ownId = uuidv7();
    const theirId = uuidv7();
    await api.trails.globex.writer.append([event({ id: theirId, correlationId: correlation })], 'platform');
    await api.trails.globex.reader.fresh(60_000);
    // It is open once what was recorded of it stands in the log; what comes after that is seen.
    await api.trails.acme.writer.append([event({ id: ownId, correlationId: correlation })], 'platform');
    await until(ownId);
    expect(text).not.toContain(theirId);
    expect(text).not.toContain(marker);
    await stream.cancel();
    sizeBefore += 1;
  });
});

describe('the command line', () => {
  it.each([
    ['timeline', () => ['timeline', theirs.correlation]],
    ['diagnose', () => ['diagnose', theirs.correlation]],
    ['disclose', () => ['disclose', theirs.event, 'after']],
    ['prove', () => ['prove', '--event', theirs.event]],
    ['action', () => ['action', theirs.action]],
  ])('%s finds nothing of another instance', async (_name, argv) => {
    const ran = await cliOf(api)('auditor', ...argv());
    expect(ran.exit).toBe(3);
    expect([...ran.out, ...ran.err].join('\n')).not.toContain(marker);
    expect(ran.err.join('\n')).toContain('NOT_FOUND');
  });
});

describe('afterwards', () => {
  it('nothing was written to the other log', async () => {
    expect(await sizeOf(api, 'globex')).toBe(sizeBefore);
  });
});
