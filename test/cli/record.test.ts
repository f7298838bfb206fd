import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { cliOf } from './cli.ts';

let api: TestApi;
let folder: string;
let cli: ReturnType<typeof cliOf>;
beforeAll(async () => {
  api = await openTestApi();
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-record-'));
  cli = cliOf(api, folder);
});
afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

let sequence = 0;
const event = (changes: object = {}): object => ({
  id: uuidv7(),
  correlationId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  emitter: { id: 'cli-runtime', sequence: (sequence += 1) },
  eventTime: new Date().toISOString(),
  actor: { principal: 'sales-agent', kind: 'agent' },
  action: 'tool.call',
  phase: 'observation',
  system: 'agent',
  ...changes,
});
const write = (name: string, text: string) => writeFile(join(folder, name), text);
const lines = (events: readonly object[]) => events.map((one) => `${JSON.stringify(one)}\n`).join('');

describe('trailkeeper record, of a file with one event a line', () => {
  it('streams it, and says where each event stands', async () => {
    await write('events.ndjson', lines(Array.from({ length: 1500 }, () => event())));
    const first = await cli('agent', 'record', 'events.ndjson');
    expect(first.exit).toBe(0);
    expect(first.out).toHaveLength(1500);
    expect(first.out[0]).toMatch(/^accepted [0-9a-f-]{36} #\d+$/);
    expect(first.err).toContain('1500 answered: 1500 accepted, 0 there already, 0 refused');
    const again = await cli('agent', 'record', 'events.ndjson');
    expect(again.exit).toBe(0);
    expect(again.out.map((line) => line.replace('duplicate', 'accepted'))).toEqual(first.out);
  });

  it('says which line was refused and why, and goes on', async () => {
    await write('mixed.txt', `${lines([event(), event({ action: 'record.obliterate' })])}{\n${lines([event()])}`);
    const { exit, out } = await cli('agent', 'record', '--ndjson', 'mixed.txt');
    expect(exit).toBe(3);
    expect(out.map((line) => line.split(' ', 1)[0])).toEqual(['accepted', 'refused', 'refused', 'accepted']);
    expect(out[2]).toBe('refused #3 BAD_INPUT: the line is not JSON');
  });

  it('shows the answer as it came, where JSON is asked for', async () => {
    await write('one.jsonl', lines([event()]));
    const { out } = await cli('agent', 'record', 'one.jsonl', '--json');
    expect(JSON.parse(out[0]!)).toMatchObject({
      line: 1,
      status: 'accepted',
      receipt: { leafHash: expect.any(String) },
    });
  });

  it('ends with what the API refused, after what was answered before', async () => {
    await write('cut.ndjson', lines([event(), event()]).slice(0, -1));
    const { exit, out, err } = await cli('agent', 'record', 'cut.ndjson');
    expect(exit).toBe(3);
    expect(out).toHaveLength(1);
    expect(err.at(-1)).toContain('UNFINISHED_LINE');
    expect((await cli('auditor', 'record', 'cut.ndjson')).err.at(-1)).toContain('FORBIDDEN');
  });

  it('says that it can be sent again where the answer is cut off, and that there is no such file', async () => {
    const server = createServer((request, response) => {
      response.write('{"line":1,"status":"duplicate","receipt":{"id":"x","index":1},"refusal":null}\n');
      request.on('end', () => response.destroy());
      request.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await write('again.ndjson', lines([event()]));
    const cut = await cliOf({ url, tokens: api.tokens }, folder)('agent', 'record', 'again.ndjson');
    expect(cut.exit).toBe(4);
    expect(cut.out).toEqual(['duplicate x #1']);
    server.close();
    expect((await cli('agent', 'record', 'absent.ndjson')).exit).toBe(2);
  });
});
