import { readFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../cli/main.ts';
import { commands } from '../../cli/commands/commands.ts';
import { printable } from '../../cli/print.ts';
import { appendIncident, type Incident } from '../api/incident.ts';
import { connectors } from '../../activities/connectors/registry.ts';
import { createToolCatalogue } from '../../stack/temporal/toolCatalogue.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { emitterOf } from '../trail/events.ts';
import { cliOf, type Ran } from './cli.ts';

let api: TestApi;
let incident: Incident;
let cli: ReturnType<typeof cliOf>;
let folder: string;

beforeAll(async () => {
  api = await openTestApi();
  cli = cliOf(api);
  folder = await mkdtemp(join(tmpdir(), 'trailkeeper-cli-'));
  const { epoch } = await (await api.services.open(api.ids.acme)).control.applied();
  incident = await appendIncident(api.trails.acme.writer, epoch);
});
afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

const parsed = ({ out }: Ran) => JSON.parse(out.join('\n'));

describe('every command', () => {
  it.each(commands.map((command) => [command.usage.split(' ')[0]!]))(
    '%s shows its help, exit codes and an example',
    async (name) => {
      const { exit, out } = await cli('nobody', name, '--help');
      expect(exit).toBe(0);
      const text = out.join('\n');
      expect(text).toContain('Exit codes:');
      expect(text).toContain('--json');
      expect(text).toContain(`npx trailkeeper ${name}`);
    },
  );

  it('takes each example of its help', async () => {
    const catalogue = createToolCatalogue(connectors);
    const examples = commands.flatMap(({ help }) =>
      [...help.matchAll(/^ {2}npx trailkeeper (.*)$/gm)].map(([, line]) => line!),
    );
    for (const example of examples) {
      const argv = [...example.replace(/ > \S+$/, '').matchAll(/'([^']*)'|"([^"]*)"|(<[^>]+>|\S+)/g)].map(
        ([, single, double, bare]) => single ?? double ?? bare!,
      );
      const { err } = await cli('nobody', ...argv, '--credentials', join(folder, 'none.json'));
      // Commander says so where it is the usage that is wrong.
      expect([example, err.join()]).toEqual([example, expect.not.stringContaining('--help')]);
      const [tool, params] = ['--tool', '--params'].map((flag) => argv[argv.indexOf(flag) + 1]!);
      const issues = argv[0] === 'perform' ? catalogue.issues(tool!, JSON.parse(params!)) : [];
      expect([example, issues]).toEqual([example, []]);
    }
  });

  it('takes each --member of create-instance, one a role', async () => {
    const out = join(folder, 'initech.json');
    const members = ['--member', 'akira=auditor', '--member', 'bot=agent:agent'];
    await cli('auditor', 'create-instance', 'initech', '--admin', 'ines', ...members, '--out', out);
    const { instances } = JSON.parse(readFileSync(out, 'utf8')) as { instances: { initech: { principals: object } } };
    expect(instances.initech.principals).toEqual({ admin: 'ines', auditor: 'akira', agent: 'bot' });
    const doubled = ['--member', 'a=auditor', '--member', 'b=auditor', '--out', join(folder, 'doubled.json')];
    const { exit } = await cli('auditor', 'create-instance', 'initech', '--admin', 'ines', ...doubled);
    expect(exit).toBe(2);
  });

  it('ends with 2 where it is used wrongly', async () => {
    for (const argv of [
      ['nonsense'],
      ['timeline'],
      ['timeline', 'a', 'b'],
      ['events', '--nonsense'],
      ['events', '--limit', 'many'],
      ['decide', uuidv7(), '--digest', 'x'],
      ['verify', '--key', 'no-key'],
      ['verify'],
      ['perform', '--run', 'x', '--tool', 'y', '--params', '{'],
    ])
      expect([argv, (await cli('auditor', ...argv)).exit]).toEqual([argv, 2]);
    expect((await cli('nobody', 'gaps')).exit).toBe(2);
  });

  it('ends with 3 where the API refuses, and says its code', async () => {
    const unknown = await cli('auditor', 'timeline', '1'.repeat(32));
    expect(unknown.exit).toBe(3);
    expect(unknown.err.join()).toContain('NOT_FOUND');
    expect((await cli('agent', 'diagnose', incident.correlationId)).err.join()).toContain('FORBIDDEN');
    const { exit } = await runCli(['gaps'], {
      env: { TRAILKEEPER_ENDPOINT: `${api.url}/graphql`, TRAILKEEPER_TOKEN: 'forged' },
      cwd: '/',
      out: () => undefined,
      note: () => undefined,
    }).then((code) => ({ exit: code }));
    expect(exit).toBe(3);
  });

  it('ends with 4 where nobody answers', async () => {
    const exit = await runCli(['gaps'], {
      env: { TRAILKEEPER_ENDPOINT: 'http://127.0.0.1:9/graphql', TRAILKEEPER_TOKEN: 'x' },
      cwd: '/',
      out: () => undefined,
      note: () => undefined,
    });
    expect(exit).toBe(4);
  });
});

describe('looking at the record', () => {
  it('timeline indents by cause, and folds bulk actions unless told otherwise', async () => {
    const { exit, out } = await cli('auditor', 'timeline', incident.correlationId);
    expect(exit).toBe(0);
    expect(out[0]).toMatch(/^#\d+ .* trailkeeper run.open outcome success by sales-agent for dana$/);
    expect(out.some((line) => /^ {4,}.*record.update attempt .*\[3 of 3 objects\]/.test(line))).toBe(true);
    const all = await cli('auditor', 'timeline', incident.correlationId, '--all');
    expect(all.out.length).toBe(out.length + 6);
    const asJson = await cli('auditor', 'timeline', incident.correlationId, '--json');
    expect(parsed(asJson).rows).toHaveLength(out.length);
  });

  it('timeline names a clock that is off only from three entries on', async () => {
    for (const [count, correlationId] of [
      [2, 'e'.repeat(32)],
      [3, 'f'.repeat(32)],
    ] as const) {
      const next = emitterOf(`slow-${count}`);
      const eventTime = new Date(Date.now() - 60_000).toISOString();
      const events = Array.from({ length: count }, () => next({ correlationId, eventTime }));
      await api.trails.acme.writer.append(events, 'reported');
      const { out } = await cli('auditor', 'timeline', correlationId);
      expect(out.filter((line) => line.startsWith(`clock of slow-${count}`))).toHaveLength(count === 3 ? 1 : 0);
    }
  });

  it('events names the action and the digest that an approval is asked for', async () => {
    const next = emitterOf('platform/action/01a20d83-5061-75a4-a940-f3bd664d4f0f');
    const parametersDigest = 'a'.repeat(64);
    const request = { action: 'approval.request', phase: 'intent', outcome: 'pending', parametersDigest } as const;
    await api.trails.acme.writer.append([next({ ...request, correlationId: 'c'.repeat(32) })], 'platform');
    const { out } = await cli('approver', 'events', '--action', 'approval.request');
    expect(out).toEqual([
      expect.stringMatching(`: action 01a20d83-5061-75a4-a940-f3bd664d4f0f, digest ${parametersDigest}$`),
    ]);
  });

  it('diagnose names the cause with its citations, and ends with 0 where there is one', async () => {
    const { exit, out } = await cli('auditor', 'diagnose', incident.correlationId);
    expect(exit).toBe(0);
    expect(out[0]).toMatch(/Established cause: the integration.*\[#\d+/);
    const next = emitterOf('quiet');
    const correlationId = 'd'.repeat(32);
    await api.trails.acme.writer.append([next({ correlationId })], 'platform');
    expect((await cli('auditor', 'diagnose', correlationId)).exit).toBe(1);
  });

  it('events lists with filters, shows one, and prints one JSON document a line', async () => {
    const listed = await cli(
      'auditor',
      'events',
      '--correlation',
      incident.correlationId,
      '--action',
      'record.update',
      '--phase',
      'intent',
    );
    expect(listed.out).toHaveLength(1);
    const [line] = (await cli('auditor', 'events', '--correlation', incident.correlationId, '--limit', '1', '--json'))
      .out;
    const { index, id } = JSON.parse(line!);
    expect(id).toBe(incident.runId);
    const at = await cli('auditor', 'events', '--index', String(index));
    expect(at.out).toEqual([expect.stringContaining(`#${index} `)]);
    const one = await cli('auditor', 'events', '--id', incident.attemptId, '--payloads');
    expect(parsed(one).versions.mapping).toBe('contacts@3');
  });

  it('events --follow goes on until it is interrupted', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const next = emitterOf('followed');
    const { promise, resolve: arrived } = Promise.withResolvers<void>();
    const running = runCli(['events', '--follow', '--emitter', 'followed', '--json'], {
      env: { TRAILKEEPER_ENDPOINT: `${api.url}/graphql`, TRAILKEEPER_TOKEN: api.tokens.acme['auditor']! },
      cwd: '/',
      note: () => undefined,
      out: (line) => {
        seen.push(JSON.parse(line).id);
        if (seen.length === 3) arrived();
      },
      signal: controller.signal,
    });
    // The subscription begins with what is appended once it is open, which the log itself says.
    const { reader } = api.trails.acme;
    for (;;) {
      await reader.fresh(5000);
      const slots = (await api.metrics.subscriptions.get()).values[0]?.value ?? 0;
      if (slots > 0) break;
      await new Promise((done) => setImmediate(done));
    }
    const events = [next(), next(), next()];
    for (const event of events) await api.trails.acme.writer.append([event], 'platform');
    await promise;
    controller.abort();
    expect(await running).toBe(0);
    expect(seen).toEqual(events.map(({ id }) => id));
  });

  it('correlate and gaps say by their exit code whether there is anything', async () => {
    expect(await cli('responder', 'correlate', 'salesforce', incident.contact)).toMatchObject({
      exit: 0,
      out: [incident.correlationId],
    });
    const nothing = await cli('responder', 'correlate', 'salesforce', 'nobody');
    expect(nothing).toMatchObject({ exit: 1, out: [], err: ['nothing found'] });
    expect((await cli('responder', 'correlate', 'salesforce', 'nobody', '--json')).err).toEqual([]);
    expect(await cli('auditor', 'gaps')).toMatchObject({ exit: 0, out: [], err: ['no gaps'] });
    const next = emitterOf('gappy-cli');
    next();
    await api.trails.acme.writer.append([next()], 'reported');
    const gaps = await cli('auditor', 'gaps', '--emitter', 'gappy-cli');
    expect(gaps).toMatchObject({ exit: 1, out: ['gappy-cli: 1 (of 2)'] });
  });

  it('prints checkpoints, proofs and disclosures for others to check', async () => {
    expect((await cli('auditor', 'checkpoint')).out.join()).toContain(api.trails.acme.origin);
    expect((await cli('auditor', 'prove', '--event', incident.runId)).out.join()).toMatch(/^c2sp.org\/tlog-proof@v1\n/);
    expect(parsed(await cli('auditor', 'prove', '--from', '2')).hashes.length).toBeGreaterThan(0);
    const disclosed = await cli('compliance', 'disclose', incident.intentId, 'parameters');
    expect(disclosed.exit).toBe(0);
    expect(parsed(disclosed).chunks).toHaveLength(1);
  });

  it('shows nothing that could steer the terminal', () => {
    const shown = printable('a\u001b[2Jb\u0007c\u009b31md\ttab\nline \u00e9');
    expect(shown).toBe('a\ufffd[2Jb\ufffdc\ufffd31md\ttab\nline \u00e9');
  });
});

describe('tools', () => {
  it('lists them, and shows what parameters one takes', async () => {
    const { exit, out } = await cli('agent', 'tools');
    expect(exit).toBe(0);
    expect(out).toContainEqual(expect.stringMatching(/^jira\.deleteIssue +record\.delete +irreversible$/));
    const one = await cli('agent', 'tools', 'slack.postMessage');
    expect(one.out[0]).toMatch(/^slack\.postMessage: message\.send, write; /);
    expect(JSON.parse(one.out[1]!)).toMatchObject({ type: 'object', required: ['channel', 'text'] });
    expect(parsed(await cli('agent', 'tools', '--json')).length).toBe(out.length);
    expect(parsed(await cli('agent', 'tools', 'gmail.sendMessage', '--json')).parameters.required).toContain('to');
    expect(await cli('agent', 'tools', 'slack.shout')).toMatchObject({
      exit: 3,
      err: [expect.stringContaining('tools')],
    });
  });
});

describe('changing things', () => {
  it('opens a run, records events in it, and publishes a version', async () => {
    const opened = parsed(await cli('agent', 'open-run', '--purpose', 'by-hand', '--json'));
    expect(opened).toMatchObject({ state: 'OPEN' });
    const file = join(folder, 'events.json');
    const event = {
      id: uuidv7(),
      correlationId: opened.correlationId,
      runId: opened.runId,
      spanId: '0123456789abcdef',
      emitter: { id: 'by-hand', sequence: 1 },
      eventTime: new Date().toISOString(),
      actor: { principal: 'sales-agent', kind: 'agent' },
      action: 'tool.call',
      phase: 'observation',
      system: 'agent',
    };
    await writeFile(file, JSON.stringify([event]));
    expect((await cli('agent', 'record', file)).out[0]).toMatch(/^accepted /);
    expect((await cli('agent', 'record', file)).out[0]).toMatch(/^duplicate /);
    const bad = { ...event, id: uuidv7(), nonsense: 1 };
    await writeFile(file, JSON.stringify([event, bad]));
    const refused = await cli('agent', 'record', file);
    expect(refused.exit).toBe(3);
    expect(refused.out[0]).toMatch(/^duplicate /);
    expect(refused.out[1]).toContain(`refused #2 ${bad.id} BAD_INPUT: `);
    const content = join(folder, 'mapping.json');
    await writeFile(content, JSON.stringify({ name: 'contacts', version: '5', fields: { phone: 'MobilePhone' } }));
    const published = await cli(
      'admin',
      'publish',
      'mapping',
      'contacts',
      '5',
      '--content',
      content,
      '--system',
      'salesforce',
    );
    expect(published.out[0]).toMatch(/^mapping contacts@5 is in force since #\d+/);
  });

  it('suspends and resumes the instance, with the reason in the record', async () => {
    const suspended = await cli('responder', 'suspend', '--reason', 'it writes wrong numbers');
    expect(suspended).toMatchObject({ exit: 0, out: [expect.stringMatching(/^suspended; recorded as #\d+$/)] });
    expect(await (await api.services.open(api.ids.acme)).control.suspended()).toBe(true);
    expect((await cli('responder', 'resume', '--reason', 'corrected')).exit).toBe(0);
    expect(await (await api.services.open(api.ids.acme)).control.suspended()).toBe(false);
  });
});

describe('where to, and as whom', () => {
  it('takes endpoint and token from the credentials file, by --as', async () => {
    const home = join(folder, 'home');
    await mkdir(join(home, '.trailkeeper'), { recursive: true });
    await mkdir(join(home, 'deeper'));
    await writeFile(
      join(home, '.trailkeeper', 'credentials.json'),
      JSON.stringify({
        endpoint: `${api.url}/graphql`,
        instances: { acme: { log: 'http://x', vkey: api.trails.acme.vkey, tokens: api.tokens.acme } },
      }),
    );
    const out: string[] = [];
    const err: string[] = [];
    const run = (...argv: string[]) =>
      runCli(argv, {
        env: {},
        cwd: join(home, 'deeper'),
        out: (line) => out.push(line),
        note: (line) => err.push(line),
      });
    expect(await run('checkpoint', '--as', 'acme/auditor')).toBe(0);
    expect(out.join()).toContain(api.trails.acme.origin);
    expect(await run('checkpoint', '--as', 'acme/nobody')).toBe(2);
    expect(err.join()).toContain('acme/auditor');
    expect(err.join()).not.toContain('tk_');
  });
});

describe('npx trailkeeper', () => {
  it('runs from the root of the repository with whatever Node the machine has', async () => {
    const root = resolve(import.meta.dirname, '../..');
    const path = (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((entry) => !entry.includes('node_modules'))
      .join(delimiter);
    const run = promisify(execFile);
    const { stdout } = await run('npx', ['--no-install', 'trailkeeper', '--help'], {
      cwd: root,
      env: { ...process.env, PATH: path },
    });
    expect(stdout).toContain('timeline [options] <correlationId>');
    const failed = await run(process.execPath, [join(root, 'cli/trailkeeper.js'), 'nonsense'], {
      env: { PATH: path },
    }).catch((error: { code: number }) => error);
    expect(failed).toMatchObject({ code: 2 });
  });
});
