/** `trailkeeper verify`, over HTTP and with the key alone, on a log whose record MongoDB's root tampered with. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { instanceDatabase } from '../../trail/database.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { event } from '../trail/events.ts';
import { entriesOf, saidOtherwise, withEntries } from './mongodbRoot.ts';

let test: TestApi;
/** Index of the first entry of three segments of 100, the last of the log. */
let first: number;
beforeAll(async () => {
  test = await openTestApi();
  const { writer, reader } = test.trails.acme;
  first = await reader.size();
  for (let batch = 0; batch < 3; batch += 1)
    await writer.append(
      Array.from({ length: 100 }, () => event()),
      'platform',
    );
  await reader.fresh(60_000);
  await test.tails.stop();
});
afterAll(() => test.close());

const record = () => test.database.admin.db(instanceDatabase(test.ids.acme)).collection<Document>('record');
const at = (index: number) => ({ _id: index as never });

const verify = async () => {
  const out: string[] = [];
  const { trails, tokens, url } = test;
  const { origin, vkey } = trails.acme;
  const log = `${url}/log/${origin.split('/log/')[1]!}`;
  const code = await runCli(['verify', '--log', log, '--key', vkey], {
    env: { TRAILKEEPER_ENDPOINT: `${url}/graphql`, TRAILKEEPER_TOKEN: tokens.acme.auditor },
    out: (line) => out.push(line),
    note: (line) => out.push(line),
  });
  return { code, said: out.join('\n') };
};

const drill = async (tamper: (segment: Document) => Promise<unknown>, index: number) => {
  const kept = (await record().findOne(at(index)))!;
  await tamper(kept);
  try {
    return await verify();
  } finally {
    await record().replaceOne(at(index), kept, { upsert: true });
  }
};

describe('trailkeeper verify', () => {
  it('holds for a log that nobody touched', async () => {
    expect(await verify()).toMatchObject({ code: 0, said: expect.stringContaining('verified:') });
  });

  it('names a changed entry by its index', async () => {
    const found = await drill((segment) => {
      const entries = entriesOf(segment);
      return record().replaceOne(at(first + 100), withEntries(segment, entries.with(7, saidOtherwise(entries[7]!))));
    }, first + 100);
    expect(found).toMatchObject({ code: 1, said: expect.stringContaining(`index ${first + 107}: entry altered`) });
  });

  it.each([100, 200])('names where entries are gone: a segment at %i after the first', async (offset) => {
    const found = await drill(() => record().deleteOne(at(first + offset)), first + offset);
    expect(found.code).toBe(1);
    expect(found.said).toMatch(new RegExp(`index ${first + offset}.*missing entries`));
  });

  it('names two segments that were swapped', async () => {
    const other = (await record().findOne(at(first + 200)))!;
    const found = await drill(async (segment) => {
      await record().replaceOne(at(first + 200), { ...segment, _id: first + 200 });
      await record().replaceOne(at(first + 100), { ...other, _id: first + 100 });
    }, first + 100);
    await record().replaceOne(at(first + 200), other);
    expect(found.code).toBe(1);
    expect(found.said).toMatch(new RegExp(`index ${first + 100}`));
  });
});
