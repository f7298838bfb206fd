/**
 * What every connector in the registry has to do, as one table: a connector is listed, its tools get a scenario, and
 * it is held to all of this.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ConnectorError, type Settlement } from '../../activities/connectors/connector.ts';
import { connectors, toolNamed } from '../../activities/connectors/registry.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import type { FaultRule } from '../../stack/sandbox/faults.ts';
import { startSandbox, type Sandbox } from '../../stack/sandbox/sandbox.ts';
import type { Vendor } from '../../stack/sandbox/standIn.ts';
import { contextFor, perform, prepareStep, tool, type ContextOptions } from './context.ts';
import { gmailScenarios } from './scenarios/gmail.ts';
import { jiraScenarios } from './scenarios/jira.ts';
import { salesforceScenarios } from './scenarios/salesforce.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { slackScenarios } from './scenarios/slack.ts';

const scenarios: readonly Scenario[] = [...salesforceScenarios, ...slackScenarios, ...gmailScenarios, ...jiraScenarios];
const vendorOf = (scenario: Scenario): Vendor => scenario.tool.split('.')[0] as Vendor;
const writes = scenarios.filter((scenario) => tool(scenario.tool).effect !== 'read');
const reads = scenarios.filter((scenario) => tool(scenario.tool).effect === 'read');

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

const context = (scenario: Scenario, options: ContextOptions = {}) =>
  contextFor(sandbox, vendorOf(scenario), { ...options, ...(scenario.mapping && { mapping: scenario.mapping }) });

/** Changes that the vendor's own log holds. */
const changesOf = (scenario: Scenario): number => sandbox.changes(vendorOf(scenario)).length;

async function failureOf(call: Promise<unknown>): Promise<ConnectorError> {
  const error = await call.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ConnectorError);
  return error as ConnectorError;
}

describe('the registry', () => {
  it('has a scenario here for each tool, and no tool twice', () => {
    const names = connectors.flatMap((connector) => connector.tools.map((t) => t.name));
    expect(names.toSorted()).toEqual(scenarios.map((s) => s.tool).toSorted());
    expect(new Set(names).size).toBe(names.length);
  });

  it('knows no tool by another name', () => {
    expect(toolNamed('salesforce.dropTable')).toBeUndefined();
    expect(toolNamed('constructor')).toBeUndefined();
  });

  it('names tools after their system, and gives writes everything that a write needs', () => {
    for (const connector of connectors) {
      expect(connector.version).toMatch(new RegExp(`^${connector.system}/\\d+\\.\\d+\\.\\d+$`));
      for (const t of connector.tools) {
        expect(t.system).toBe(connector.system);
        expect(t.name.startsWith(`${connector.system}.`)).toBe(true);
        expect(t.endpoint).not.toContain('://');
      }
    }
    const incomplete = writes.filter((s) => !('verify' in tool(s.tool)) || !('settle' in tool(s.tool)));
    expect(incomplete).toEqual([]);
  });

  it('lets nothing be taken back only where it is declared irreversible', () => {
    const final = writes.filter((s) => !('compensate' in tool(s.tool)));
    expect(final.map((s) => tool(s.tool).effect)).toEqual(final.map(() => 'irreversible'));
  });

  it('refuses a credential of another shape', () => {
    for (const connector of connectors) {
      expect(connector.credential.safeParse({}).success).toBe(false);
      expect(
        connector.credential.safeParse({ ...sandbox.credentials[connector.system as Vendor], more: 1 }).success,
      ).toBe(false);
      expect(connector.credential.safeParse(sandbox.credentials[connector.system as Vendor]).success).toBe(true);
    }
  });
});

describe.each(scenarios)('$tool', (scenario) => {
  it('takes its sample and refuses bad input', async () => {
    const t = tool(scenario.tool);
    const { params } = await scenario.prepare(sandbox);
    expect(t.input.safeParse(params).success).toBe(true);
    expect(t.input.safeParse({ ...params, surplus: 1 }).success).toBe(false);
    for (const bad of scenario.refused) expect([bad, t.input.safeParse(bad).success]).toEqual([bad, false]);
  });

  it('is refused by the vendor with a credential that it does not know', async () => {
    const { params } = await scenario.prepare(sandbox);
    const wrong = Object.fromEntries(
      Object.entries(sandbox.credentials[vendorOf(scenario)]).map(([k, v]) => [
        k,
        k === 'address' || k === 'email' ? v : `${v}x`,
      ]),
    );
    const before = changesOf(scenario);
    const failure = await failureOf(perform(tool(scenario.tool), context(scenario, { credential: wrong }), params));
    expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', tookEffect: 'no' });
    expect(JSON.stringify(failure.message)).not.toContain('sandbox-agent');
    expect(changesOf(scenario)).toBe(before);
  });

  it('sends nothing once it is cancelled', async () => {
    const { params } = await scenario.prepare(sandbox);
    const before = changesOf(scenario);
    const failure = await failureOf(
      perform(tool(scenario.tool), context(scenario, { signal: AbortSignal.abort() }), params),
    );
    expect(failure).toMatchObject({ code: 'TIMEOUT', tookEffect: 'no' });
    expect(changesOf(scenario)).toBe(before);
  });
});

describe.each(reads)('the read $tool', (scenario) => {
  it('changes nothing, and gives each object with its values', async () => {
    const { params } = await scenario.prepare(sandbox);
    const before = changesOf(scenario);
    const { step, result } = await perform(tool(scenario.tool), context(scenario), params);
    expect(changesOf(scenario)).toBe(before);
    expect(result.items).toHaveLength(step.items.length);
    const objects = [...result.items, ...(result.found ?? [])];
    expect(objects.length).toBeGreaterThan(0);
    for (const item of result.items) expect(item).toMatchObject({ outcome: 'success', after: expect.anything() });
    for (const found of result.found ?? []) expect(found.target.id).not.toBe('');
  });

  it.each([401, 403, 404, 409, 429, 500, 503] as const)('fails on %i with no effect', async (status) => {
    const { params } = await scenario.prepare(sandbox);
    const ctx = context(scenario);
    sandbox.faults[vendorOf(scenario)].set({ fault: { kind: 'status', status } });
    const outcome = await perform(tool(scenario.tool), ctx, params).catch((e: unknown) => e);
    // Where a vendor answers a read of one object with 404, that is an answer about the object.
    const absent = { result: { items: [{ outcome: 'failure', error: { code: 'NOT_FOUND' } }] } };
    expect(outcome).toMatchObject(
      outcome instanceof ConnectorError || status !== 404 ? { name: 'ConnectorError', tookEffect: 'no' } : absent,
    );
  });

  it.each(['timeout', 'cut', 'malformed'] as const)('fails on %s with no effect', async (kind) => {
    const { params } = await scenario.prepare(sandbox);
    sandbox.faults[vendorOf(scenario)].set({ fault: { kind, when: 'after' } });
    const timeoutMs = kind === 'timeout' ? 300 : 20_000;
    const failure = await failureOf(perform(tool(scenario.tool), context(scenario, { timeoutMs }), params));
    const code = { timeout: 'TIMEOUT', cut: 'UNAVAILABLE', malformed: 'MALFORMED_RESPONSE' }[kind];
    expect(failure).toMatchObject({ code, tookEffect: 'no' });
  });
});

interface FaultRow {
  readonly name: string;
  readonly fault: FaultRule['fault'];
  readonly code: ErrorCode;
  readonly tookEffect: 'no' | 'unknown';
  readonly happened: boolean;
  readonly waitMs?: [number, number];
}
const status = (code: ErrorCode, s: 401 | 403 | 404 | 409 | 412): FaultRow => ({
  name: `${s}`,
  fault: { kind: 'status', status: s },
  code,
  tookEffect: 'no',
  happened: false,
});
const rows: readonly FaultRow[] = [
  status('UNAUTHENTICATED', 401),
  status('FORBIDDEN', 403),
  status('NOT_FOUND', 404),
  status('CONFLICT', 409),
  status('CONFLICT', 412),
  {
    name: '429 with Retry-After in seconds',
    fault: { kind: 'status', status: 429, retryAfter: '7' },
    code: 'RATE_LIMITED',
    tookEffect: 'no',
    happened: false,
    waitMs: [7000, 7000],
  },
  {
    name: '429 with Retry-After as a date',
    fault: { kind: 'status', status: 429, retryAfter: new Date(Date.now() + 3_600_000).toUTCString() },
    code: 'RATE_LIMITED',
    tookEffect: 'no',
    happened: false,
    waitMs: [3_000_000, 3_601_000],
  },
  {
    name: '500 before the effect',
    fault: { kind: 'status', status: 500 },
    code: 'UNAVAILABLE',
    tookEffect: 'unknown',
    happened: false,
  },
  {
    name: '500 after the effect',
    fault: { kind: 'status', status: 500, when: 'after' },
    code: 'UNAVAILABLE',
    tookEffect: 'unknown',
    happened: true,
  },
  {
    name: '503 with Retry-After',
    fault: { kind: 'status', status: 503, retryAfter: '3' },
    code: 'UNAVAILABLE',
    tookEffect: 'unknown',
    happened: false,
    waitMs: [3000, 3000],
  },
  {
    name: 'a timeout before the effect',
    fault: { kind: 'timeout', when: 'before' },
    code: 'TIMEOUT',
    tookEffect: 'unknown',
    happened: false,
  },
  {
    name: 'a timeout after the effect',
    fault: { kind: 'timeout', when: 'after' },
    code: 'TIMEOUT',
    tookEffect: 'unknown',
    happened: true,
  },
  {
    name: 'a cut before the effect',
    fault: { kind: 'cut', when: 'before' },
    code: 'UNAVAILABLE',
    tookEffect: 'unknown',
    happened: false,
  },
  {
    name: 'a cut after the effect',
    fault: { kind: 'cut', when: 'after' },
    code: 'UNAVAILABLE',
    tookEffect: 'unknown',
    happened: true,
  },
  {
    name: 'a malformed body before the effect',
    fault: { kind: 'malformed', when: 'before' },
    code: 'MALFORMED_RESPONSE',
    tookEffect: 'unknown',
    happened: false,
  },
  {
    name: 'a malformed body after the effect',
    fault: { kind: 'malformed', when: 'after' },
    code: 'MALFORMED_RESPONSE',
    tookEffect: 'unknown',
    happened: true,
  },
];

describe.each(writes)('the write $tool', (scenario) => {
  const effects = scenario.effects ?? 1;

  it('happens once, carries the correlation id into the target, and reads back', async () => {
    const { params } = await scenario.prepare(sandbox);
    const t = tool(scenario.tool);
    const ctx = context(scenario);
    const changesBefore = changesOf(scenario);
    const { step, before, result } = await perform(t, ctx, params);
    expect(changesOf(scenario)).toBe(changesBefore + effects);
    expect(result.items).toHaveLength(step.items.length);
    for (const item of result.items)
      expect(item).toMatchObject({ outcome: 'success', target: { id: expect.stringMatching(/./) } });
    expect('before' in t && before.includes(null)).toBe(false);
    const verification = await t.verify!(ctx, step, result);
    expect(verification).toMatchObject({ matches: true });
    expect(verification.items).toHaveLength(step.items.length);
    const marks = (await scenario.marks?.(sandbox, result)) ?? [];
    for (const mark of marks) expect(mark).toBe(ctx.correlationId);
  });

  it('is refused for want of a scope, and changes nothing', async () => {
    const { params } = await scenario.prepare(sandbox);
    const before = changesOf(scenario);
    const credential = sandbox.readOnlyCredentials[vendorOf(scenario)];
    const failure = await failureOf(perform(tool(scenario.tool), context(scenario, { credential }), params));
    expect(failure).toMatchObject({ code: 'FORBIDDEN', tookEffect: 'no' });
    expect(changesOf(scenario)).toBe(before);
  });

  /** The call under the fault, up to the moment when the stand-in has done what it will do. */
  async function callUnder(row: FaultRow) {
    const { params } = await scenario.prepare(sandbox);
    const t = tool(scenario.tool);
    const faults = sandbox.faults[vendorOf(scenario)];
    const ctx = context(scenario, row.fault.kind === 'timeout' ? { timeoutMs: 400 } : {});
    const patient = { ...ctx, timeoutMs: 20_000 };
    const { step, before } = await prepareStep(t, patient, params);
    const changesAfter = changesOf(scenario) + (row.happened ? effects : 0);
    faults.set({ fault: row.fault, on: 'write' });
    const failure = await failureOf(t.call(ctx, step, before));
    // After a timeout the stand-in may still be at work.
    await vi.waitFor(() => {
      expect(faults.pending()).toEqual([]);
      expect(changesOf(scenario)).toBe(changesAfter);
    });
    return { t, ctx: patient, step, before, failure, changesAfter };
  }

  it.each(rows.filter((row) => !row.happened))(
    'meets $name with $code, effect $tookEffect, and settles it as not applied',
    async (row) => {
      const { t, ctx, step, before, failure, changesAfter } = await callUnder(row);
      expect(failure).toMatchObject({ code: row.code, tookEffect: row.tookEffect });
      const [fromMs, toMs] = row.waitMs ?? [-1, -1];
      expect(failure.retryAfterMs ?? -1).toBeGreaterThanOrEqual(fromMs);
      expect(failure.retryAfterMs ?? -1).toBeLessThanOrEqual(toMs);
      expect(await t.settle!(ctx, step, before)).toEqual({ state: 'not-applied' });
      expect(changesOf(scenario)).toBe(changesAfter);
    },
  );

  it.each(rows.filter((row) => row.happened))(
    'meets $name with $code, effect $tookEffect, and settles it as applied, once',
    async (row) => {
      const { t, ctx, step, before, failure, changesAfter } = await callUnder(row);
      expect(failure).toMatchObject({ code: row.code, tookEffect: row.tookEffect });
      const settlement = await t.settle!(ctx, step, before);
      expect(settlement).toMatchObject({
        state: 'applied',
        result: { items: step.items.map(() => ({ outcome: 'success', target: { id: expect.stringMatching(/./) } })) },
      });
      const { result } = settlement as Extract<Settlement, { state: 'applied' }>;
      expect(await t.verify!(ctx, step, result)).toMatchObject({ matches: true });
      expect(changesOf(scenario)).toBe(changesAfter);
    },
  );

  it('succeeds, late, on a slow vendor', async () => {
    const { params } = await scenario.prepare(sandbox);
    sandbox.faults[vendorOf(scenario)].set({ fault: { kind: 'slow', delayMs: 50 }, on: 'write' });
    const before = changesOf(scenario);
    const { result } = await perform(tool(scenario.tool), context(scenario), params);
    expect(result.items.every((item) => item.outcome === 'success')).toBe(true);
    expect(changesOf(scenario)).toBeGreaterThan(before);
  });
});

const idempotent = (kind: 'key' | 'conditional') => writes.filter((s) => tool(s.tool).idempotency === kind);

describe('doing it again', () => {
  it.each(idempotent('key'))('finds what $tool did before by its key', async (scenario) => {
    const { params } = await scenario.prepare(sandbox);
    const t = tool(scenario.tool);
    const ctx = context(scenario);
    const { step, before, result } = await perform(t, ctx, params);
    const again = await t.call(ctx, step, before);
    expect(again.items.map((item) => item.target)).toEqual(result.items.map((item) => item.target));
  });

  it.each(idempotent('conditional'))('is refused by the vendor after $tool', async (scenario) => {
    const { params } = await scenario.prepare(sandbox);
    const t = tool(scenario.tool);
    const ctx = context(scenario);
    const { step, before } = await perform(t, ctx, params);
    const changes = changesOf(scenario);
    expect(await failureOf(t.call(ctx, step, before))).toMatchObject({ code: 'NOT_FOUND', tookEffect: 'no' });
    expect(changesOf(scenario)).toBe(changes);
  });
});

describe('verification', () => {
  it.each(writes.filter((s) => 'marks' in s))(
    'of $tool does not take what another action did for its own',
    async (scenario) => {
      const { params } = await scenario.prepare(sandbox);
      const t = tool(scenario.tool);
      const { step, result } = await perform(t, context(scenario), params);
      expect(await t.verify!(context(scenario), step, result)).toMatchObject({ matches: false });
    },
  );
});

describe('compensation', () => {
  it.each(writes.filter((s) => 'compensate' in tool(s.tool)))('takes $tool back', async (scenario) => {
    const ready = await scenario.prepare(sandbox);
    const t = tool(scenario.tool);
    const original = await ready.state!();
    const { step, before, result } = await perform(t, context(scenario), ready.params);
    expect(await ready.state!()).not.toEqual(original);
    const back = t.compensate!(step, before, result)!;
    const undo = tool(back.tool);
    const ctx = contextFor(sandbox, vendorOf(scenario));
    const undone = await perform(undo, ctx, back.params);
    expect(undone.result.items.every((item) => item.outcome === 'success')).toBe(true);
    expect(await undo.verify!(ctx, undone.step, undone.result)).toMatchObject({ matches: true });
    expect(await ready.state!()).toEqual(original);
  });
});
