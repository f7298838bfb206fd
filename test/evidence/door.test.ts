/** How a pack gets out: recorded, once, to whoever asked, and never without its record. */
import { randomBytes } from 'node:crypto';
import type { Binary } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { Entry } from '../../schema/event.ts';
import type { CorrelationId } from '../../schema/ids.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import { openTestApi, type Name, type TestApi } from '../api/openApi.ts';
import { emitterOf } from '../trail/events.ts';
import { ask, askDocument, exported, linesOf, memberNamed, membersOf, pathOf, sha256, verified } from './packs.ts';

let api: TestApi;
const next = emitterOf('door');
const correlationId = '12'.repeat(16) as CorrelationId;
const key = () => ['--key', api.trails.acme.vkey];

beforeAll(async () => {
  api = await openTestApi();
  await api.trails.acme.writer.append(
    Array.from({ length: 4 }, () => next({ correlationId })),
    'platform',
  );
});
afterAll(() => api.close());

/** What the log says of one export, in order. */
const recorded = async (id: string, name: Name = 'acme'): Promise<Entry[]> => {
  const { reader } = api.trails[name];
  await reader.fresh(10_000);
  const found = await reader.find({ emitter: `platform/evidence/${id}` }, { limit: 10 });
  return found.map(({ entry }) => entry);
};

/** Waits for the entry that ends an export. */
const ended = async (id: string): Promise<Entry[]> => {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const entries = await recorded(id);
    if (entries.at(-1)?.phase === 'verified' || entries.at(-1)?.outcome === 'failure') return entries;
    if (performance.now() > deadline) throw new Error(`not ended: ${entries.map(({ phase }) => phase).join()}`);
  }
};

describe('an export', () => {
  it('is recorded before it leaves, with counts and the digest of the manifest', async () => {
    const before = await api.trails.acme.reader.size();
    const asked = await ask(api, { correlationId });
    expect(asked).toMatchObject({ entries: 4, vkey: api.trails.acme.vkey });
    const response = await api.fetch(pathOf(asked));
    expect(response.headers.get('x-trailkeeper-entries')).toBe('4');
    expect(response.headers.get('content-type')).toBe('application/gzip');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const members = await membersOf(Buffer.from(await response.arrayBuffer()));
    const entries = await ended(asked.id);
    expect(entries.map(({ phase, outcome, actor }) => [phase, outcome, actor.principal])).toEqual([
      ['intent', undefined, 'akira'],
      ['attempt', undefined, 'akira'],
      ['outcome', 'success', 'akira'],
      ['verified', 'success', 'akira'],
    ]);
    expect(entries.map(({ emitter }) => emitter.sequence)).toEqual([1, 2, 3, 4]);
    expect(entries[2]).toMatchObject({ count: 4, parametersDigest: sha256(memberNamed(members, 'manifest').bytes) });
    // Nothing of it stands in the chain that was exported, and nothing else was written.
    const { reader } = api.trails.acme;
    const written = await reader.find({ _id: { $gte: before } }, { limit: 100 });
    expect(written.filter(({ entry }) => entry.correlationId === correlationId)).toEqual([]);
    expect(
      written.map(({ entry }) => entry.action).filter((action) => !/^(evidence\.|trail\.read)/.test(action)),
    ).toEqual([]);
    const read = written.find(({ entry }) => entry.action === 'trail.read' && entry.count === 4);
    const attempt = written.find(({ entry }) => entry.id === entries[1]!.id);
    const outcome = written.find(({ entry }) => entry.id === entries[2]!.id);
    expect(read!.index).toBeGreaterThan(attempt!.index);
    expect(read!.index).toBeLessThan(outcome!.index);
  });

  it('holds the record of itself', async () => {
    const asked = await ask(api, { correlationId });
    const members = await membersOf(Buffer.from(await (await api.fetch(pathOf(asked))).arrayBuffer()));
    const cited = linesOf<Entry>(memberNamed(members, 'cited/entries/000000.ndjson'));
    expect(
      cited.filter(({ action }) => action === 'evidence.export').map(({ id, phase }) => [id === asked.id, phase]),
    ).toEqual([
      [true, 'intent'],
      [false, 'attempt'],
    ]);
    expect(cited.filter(({ action }) => action === 'evidence.key')).toHaveLength(1);
  });

  it('names its key in the log once, however many packs are made', async () => {
    await exported(api, { correlationId });
    const named = await api.trails.acme.reader.find({ action: 'evidence.key' }, { limit: 10 });
    expect(named).toHaveLength(1);
  });

  it('can be asked for again under the same id, and is the same one', async () => {
    const first = await ask(api, { range: {} });
    const again = await ask(api, { id: first.id, range: {} });
    expect([again.id, again.entries]).toEqual([first.id, first.entries]);
    const other = await api.ask(askDocument, { input: { id: first.id, correlationId } });
    expect(other.errors?.[0]?.extensions.code).toBe('ID_CONFLICT');
    expect(await recorded(first.id)).toHaveLength(1);
  });
});

describe('the link', () => {
  it('works once, for the first of all who try at the same time', async () => {
    const path = pathOf(await ask(api, { correlationId }));
    const answers = await Promise.all([api.fetch(path), api.fetch(path)]);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 410]));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    const late = await api.fetch(path);
    expect([late.status, (await late.json()).errors[0].extensions.code]).toEqual([410, 'LINK_SPENT']);
  });

  it('is used up by nothing but fetching', async () => {
    const path = pathOf(await ask(api, { correlationId }));
    expect((await api.fetch(path, { method: 'HEAD' })).status).toBe(400);
    expect((await api.fetch(path, { method: 'POST' })).status).toBe(400);
    expect((await api.fetch(path, {}, 'nobody')).status).toBe(401);
    expect((await api.fetch(path, {}, 'operator')).status).toBe(403);
    const good = await api.fetch(path);
    expect(good.status).toBe(200);
    await good.arrayBuffer();
  });

  it('is nothing to another person, and nothing in another instance: as if it were not there', async () => {
    const { id } = await ask(api, { correlationId });
    const absent = await api.fetch(`/evidence/${id.replace(/.$/, (last) => (last === '0' ? '1' : '0'))}`);
    const foreign = await api.fetch(`/evidence/${id}`, {}, { instance: 'globex', role: 'auditor' });
    const others = await api.fetch(`/evidence/${id}`, {}, 'compliance');
    const texts = await Promise.all([absent, foreign, others].map((answer) => answer.text()));
    expect([absent, foreign, others].map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(new Set(texts).size).toBe(1);
    expect((await api.fetch('/evidence/none')).status).toBe(404);
    // Something else of the log by its id is no pack either.
    const [event] = await api.trails.acme.reader.find({ corr: correlationId }, { limit: 1 });
    expect((await api.fetch(`/evidence/${event!.entry.id}`)).status).toBe(404);
  });

  it('ends after ten minutes', async () => {
    const asked = await ask(api, { correlationId });
    api.advance(11 * 60_000);
    expect((await api.fetch(pathOf(asked))).status).toBe(410);
    expect(await recorded(asked.id)).toHaveLength(1);
    api.advance(-11 * 60_000);
  });
});

describe('who may', () => {
  it.each(['agent', 'operator', 'approver', 'responder', 'admin'] as const)('is not the role %s', async (role) => {
    const { errors } = await api.ask(askDocument, { input: { correlationId } }, role);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  it('is refused what there is not, and what is no scope', async () => {
    for (const [input, code] of [
      [{ correlationId: 'ff'.repeat(16) }, 'NOT_FOUND'],
      [{ run: '01a20d4d-28c9-7062-9e97-3f36f12eaf80' }, 'NOT_FOUND'],
      [{ range: { from: 5, to: 4 } }, 'BAD_INPUT'],
      [{ range: { to: 1_000_000_000 } }, 'BAD_INPUT'],
      [{ range: { from: -1 } }, 'BAD_INPUT'],
      [{}, 'BAD_INPUT'],
      [{ correlationId, range: {} }, 'BAD_INPUT'],
    ] as const)
      expect([input, (await api.ask(askDocument, { input })).errors?.[0]?.extensions.code]).toEqual([input, code]);
  });

  const publish = async (version: number, text: string): Promise<void> => {
    const { controlRecorder, control } = await api.services.open(api.ids.globex);
    const [receipt] = await controlRecorder.record([
      {
        correlationId: newCorrelationId(),
        actor: { principal: 'ines' as never, kind: 'human' },
        action: 'policy.publish',
        phase: 'outcome',
        outcome: 'success',
        system: 'trailkeeper',
        control: { change: 'policy.publish', policySet: 'default', version, digest: sha256(Buffer.from(text)) },
        parts: [{ name: 'policies', content: { text } }],
      },
    ]);
    await control.waitApplied(receipt!.index, 30_000);
  };

  it('sees in a pack what its role sees elsewhere, and of its own doings alone where the policy says so', async () => {
    const text = `${defaultPolicies}
@id("test.approver") permit (principal, action == Action::"operate", resource == Operation::"exportEvidence")
when { principal.roles.contains("approver") };
@id("test.agent") @scope("own") permit (principal, action == Action::"operate", resource == Operation::"exportEvidence")
when { principal.roles.contains("agent") };`;
    await publish(2, text);
    const globexKey = ['--key', api.trails.globex.vkey];
    const approver = { instance: 'globex', role: 'approver' } as const;
    const { exit, report } = await verified(await exported(api, { range: {} }, approver), ...globexKey);
    expect([exit, report.problems]).toEqual([0, []]);
    // Control entries have content, and approvers do not see that class.
    expect(report.parts['withheld']).toBeGreaterThan(0);

    const agent = { instance: 'globex', role: 'agent' } as const;
    const range = await api.ask(askDocument, { input: { range: {} } }, agent);
    expect(range.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const another = next({ correlationId: '34'.repeat(16), actor: { principal: 'omar', kind: 'human' } });
    await api.trails.globex.writer.append([another], 'platform');
    const others = await api.ask(askDocument, { input: { correlationId: another.correlationId } }, agent);
    expect(others.errors?.[0]?.extensions.code).toBe('NOT_FOUND');
    const own = next({
      correlationId: '56'.repeat(16),
      actor: { principal: 'sales-agent', kind: 'agent' },
      phase: 'intent',
      outcome: undefined,
    });
    await api.trails.globex.writer.append([own], 'platform');
    const pack = await exported(api, { correlationId: own.correlationId }, agent);
    expect((await verified(pack, ...globexKey)).report).toMatchObject({ outcome: 'verified', entries: 1 });
  });

  it('gets no pack of what it may not see any more when it fetches it', async () => {
    const permit = (scope: string) => `${defaultPolicies}
@id("test.agent") ${scope} permit (principal, action == Action::"operate", resource == Operation::"exportEvidence")
when { principal.roles.contains("agent") };`;
    const agent = { instance: 'globex', role: 'agent' } as const;
    const another = next({ correlationId: '78'.repeat(16), actor: { principal: 'omar', kind: 'human' } });
    await api.trails.globex.writer.append([another], 'platform');
    await publish(3, permit(''));
    const asked = await ask(api, { correlationId: another.correlationId }, agent);
    await publish(4, permit('@scope("own")'));
    const answer = await api.fetch(pathOf(asked), {}, agent);
    expect([answer.status, (await answer.json()).errors[0].extensions.code]).toEqual([403, 'FORBIDDEN']);
  });
});

describe('what is gone', () => {
  it('is listed with the reason, and the rest is there', async () => {
    const subject = { system: 'salesforce', kind: 'Contact', id: '003gone' };
    const chain = newCorrelationId();
    const kept = next({ correlationId: chain });
    const erased = next({
      correlationId: chain,
      subjects: [subject],
      parts: [{ name: 'after', content: 'gone', subject: 0 }],
    });
    await api.trails.acme.writer.append([kept, erased], 'platform');
    const control = api.database.admin.db('tk_control').collection('keys');
    const { deletedCount } = await control.deleteMany({
      _id: { $regex: `^${api.ids.acme}/subject-class/` } as never,
    });
    expect(deletedCount).toBe(1);
    const pack = await exported(api, { correlationId: chain });
    const { exit, report } = await verified(pack, ...key());
    expect([exit, report.parts]).toEqual([0, { present: 1, withheld: 0, erased: 1, damaged: 0 }]);
    const lines = linesOf<{ state: string; reason?: string }>(
      memberNamed(await membersOf(pack), 'payloads/000000.ndjson'),
    );
    expect(lines.find(({ state }) => state === 'erased')?.reason).toContain('destroyed');
  });

  it('is listed apart where the record itself is damaged, and the verifier warns', async () => {
    const chain = newCorrelationId();
    await api.trails.acme.writer.append([next({ correlationId: chain })], 'platform');
    const [hurt] = await api.trails.acme.writer.append([next({ correlationId: chain })], 'platform');
    const index = hurt!.status === 'refused' ? -1 : hurt!.receipt.index;
    const record = api.database.admin.db(`tk_${api.ids.acme}`).collection('record');
    const segment = await record.findOne({ _id: index as never });
    const [listed] = segment!['boxes'] as { id: Binary }[];
    const document = await record.findOne({ _id: listed!.id });
    const boxes = Buffer.from((document!['boxes'] as Binary).buffer);
    boxes[0]! ^= 1;
    await record.updateOne({ _id: listed!.id }, { $set: { boxes } });
    const { exit, report } = await verified(await exported(api, { correlationId: chain }), ...key());
    expect([exit, report.parts]).toEqual([0, { present: 1, withheld: 0, erased: 0, damaged: 1 }]);
    expect(report.warnings.map(({ kind }) => kind)).toContain('payload-damaged');
  });
});

describe('a fetch that breaks off', () => {
  /** Its pack is larger than all buffers between here and there. */
  const large = { correlationId: newCorrelationId() };
  beforeAll(async () => {
    for (let i = 0; i < 5; i += 1)
      await api.trails.acme.writer.append(
        [next({ ...large, parts: [{ name: 'after', content: randomBytes(2_000_000).toString('base64') }] })],
        'platform',
      );
  });

  it('is recorded as a failure, and leaves no pack', async () => {
    const asked = await ask(api, large);
    const gone = new AbortController();
    const response = await api.fetch(pathOf(asked), { signal: gone.signal });
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    gone.abort();
    await reader.cancel().catch(() => undefined);
    const entries = await ended(asked.id);
    expect(entries.map(({ phase, outcome }) => [phase, outcome])).toEqual([
      ['intent', undefined],
      ['attempt', undefined],
      ['outcome', 'failure'],
    ]);
    expect(entries[2]!.error).toEqual({ code: 'CANCELLED' });
    const { exit, report } = await verified(Buffer.from(value!), ...key());
    expect([exit, report.problems[0]!.kind]).toEqual([1, 'archive-truncated']);
    expect((await api.fetch(pathOf(asked))).status).toBe(410);
  });

  it('takes a slot of the few that there are, and gives it back; who waits keeps the link', async () => {
    const held = await Promise.all(
      [1, 2].map(async () => (await api.fetch(pathOf(await ask(api, large)))).body!.getReader()),
    );
    await Promise.all(held.map((reader) => reader.read()));
    const waiting = pathOf(await ask(api, { correlationId }));
    const refused = await api.fetch(waiting);
    expect([refused.status, (await refused.json()).errors[0].extensions.code]).toEqual([429, 'QUEUE_FULL']);
    for (const reader of held) while (!(await reader.read()).done);
    const taken = await api.fetch(waiting);
    expect(taken.status).toBe(200);
    await taken.arrayBuffer();
  });

  it('ends where the record is not what was signed, and says so in the log', async () => {
    const chain = newCorrelationId();
    const [result] = await api.trails.acme.writer.append([next({ correlationId: chain })], 'platform');
    const index = result!.status === 'refused' ? -1 : result!.receipt.index;
    // The API's own writer looks at what is new in the log before it appends: it is past this entry after this.
    await exported(api, { correlationId: chain });
    const db = api.database.admin.db(`tk_${api.ids.acme}`);
    for (const [collection, filter] of [
      ['record', { _id: index as never }],
      ['events', { _id: index as never }],
    ] as const) {
      const document = await db.collection(collection).findOne(filter);
      const bytes = Buffer.from((document!['entries'] ?? document!['entry']).buffer as Uint8Array);
      bytes.write('salesfARCE', bytes.indexOf('salesforce'));
      await db
        .collection(collection)
        .updateOne(filter, { $set: { [document!['entries'] ? 'entries' : 'entry']: bytes } });
    }
    const asked = await ask(api, { correlationId: chain });
    const response = await api.fetch(pathOf(asked));
    await expect(response.arrayBuffer()).rejects.toThrow(/terminated|aborted|closed/);
    const entries = await ended(asked.id);
    expect(entries.at(-1)).toMatchObject({ phase: 'outcome', outcome: 'failure', error: { code: 'INTERNAL' } });
  });
});
