/** Self-verification through the API and the command line: what was found, another check, a repair, and its absence. */
import type { Document } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { taskQueues } from '../../domain/action/contract.ts';
import { createVerificationActivities } from '../../activities/verification/createVerificationActivities.ts';
import { bundleWorkflows, startWorkers, type RunningWorkers } from '../../stack/temporal/workers.ts';
import { verificationInstance } from '../../stack/verifying.ts';
import { instanceDatabase } from '../../trail/database.ts';
import { inject } from 'vitest';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { testNamespace } from '../setup/servers.ts';
import { testRates } from './work.ts';

let test: TestApi;
let workers: RunningWorkers;
beforeAll(async () => {
  test = await openTestApi();
  const { reader, projector } = test.database.clients;
  workers = await startWorkers({
    address: inject('temporalAddress'),
    namespace: testNamespace,
    keys: async () => Buffer.alloc(32, 1),
    activities: createVerificationActivities({
      open: async (instance) => {
        const trail = test.trails[instance === test.ids.acme ? 'acme' : 'globex'];
        return verificationInstance(instance, { reader, keys: test.keys, trail });
      },
      rates: testRates,
      projector,
    }),
    onError: (activity, error) => console.error(activity, error),
    graceMs: 1000,
    only: 'maintenance',
    taskQueues,
    bundle: await bundleWorkflows(),
  });
});
afterAll(async () => {
  await workers.stop();
  await test.close();
});

const events = () => test.database.admin.db(instanceDatabase(test.ids.acme)).collection<Document>('events');

const cli = async (...argv: string[]) => {
  const out: string[] = [];
  const note: string[] = [];
  const code = await runCli(argv, {
    env: { TRAILKEEPER_ENDPOINT: `${test.url}/graphql`, TRAILKEEPER_TOKEN: test.tokens.acme.responder },
    out: (line) => out.push(line),
    note: (line) => note.push(line),
  });
  return { code, out: out.join('\n'), note: note.join('\n') };
};

describe('self-verification on the command line', () => {
  it('says that there was no check yet', async () => {
    expect(await cli('selfcheck')).toMatchObject({
      code: 0,
      out: 'sample: none has ended yet\nfull: none has ended yet',
    });
  });

  it('checks, waits for the result, and shows it from then on', async () => {
    const { code, out } = await cli('selfcheck', '--run', 'full');
    expect(out).toMatch(/^full: no difference; \d+ entries, ended \S+, recorded as #\d+$/);
    expect(code).toBe(0);
    expect((await cli('selfcheck')).out).toContain('full: no difference');
  });

  it('names kind, place and first bad index of a difference, mends it, and finds none any more', async () => {
    await events().updateOne({ _id: 3 as never }, { $set: { corr: 'f'.repeat(32) } });
    const found = await cli('selfcheck', '--run', 'full');
    expect(found.code).toBe(1);
    expect(found.out).toContain('row-altered at index 3 (events/3)');
    expect(found.out).toContain('can be mended');
    expect(await cli('selfcheck', '--repair')).toMatchObject({ code: 0 });
    expect(await cli('selfcheck', '--run', 'sample')).toMatchObject({ code: 0 });
    expect(await cli('selfcheck', '--run', 'full')).toMatchObject({ code: 0 });
  });
});

describe('self-verification in GraphQL', () => {
  it('names what is overdue, whatever became of the schedules', async () => {
    const query = '{ selfVerification { overdue full { outcome differences { kind } } } }';
    expect((await test.ask(query)).data.selfVerification.overdue).toEqual([]);
    test.advance(3 * 86_400_000);
    expect((await test.ask(query)).data.selfVerification.overdue).toEqual(['sample']);
    test.advance(30 * 86_400_000);
    expect((await test.ask(query)).data.selfVerification.overdue).toEqual(['sample', 'full']);
  });

  it('is of one instance: another one is told nothing of it', async () => {
    const query = '{ selfVerification { sample { index } full { index } running { stage } } }';
    const { data } = await test.ask(query, {}, { instance: 'globex', role: 'auditor' });
    expect(data.selfVerification).toEqual({ sample: null, full: null, running: [] });
  });

  it('lets nobody repair who only reads, and records that it was denied', async () => {
    const { errors } = await test.ask('mutation { repairProjections { stage } }', {}, 'auditor');
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

describe('the metrics', () => {
  it('say how long ago each kind of check ended', async () => {
    const text = await (await test.fetch('/metrics', {}, 'nobody')).text();
    expect(text).toMatch(/trailkeeper_since_verified_seconds\{kind="sample"\} \d/);
    expect(text).toMatch(/trailkeeper_since_verified_seconds\{kind="full"\} \d/);
  });
});
