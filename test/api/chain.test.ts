import { Binary } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { emitterOf } from '../trail/events.ts';
import { appendIncident, type Incident } from './incident.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
let incident: Incident;
beforeAll(async () => {
  api = await openTestApi();
  const { epoch } = await (await api.services.open(api.ids.acme)).control.applied();
  incident = await appendIncident(api.trails.acme.writer, epoch);
});
afterAll(() => api.close());

const timeline = `query ($id: CorrelationId!, $folded: Boolean) {
  timeline(correlationId: $id, folded: $folded) {
    rows { depth parent flags event { id action phase } bulk { size present outcomes { outcome count } } eventTime receivedTime correctedTime }
    emitters { emitter skewMs count } problems { kind } truncated behind
  }
}`;
const diagnose = `query ($id: CorrelationId!) {
  diagnose(correlationId: $id) {
    verdict { state causes why text first { index id } }
    findings { cause state citations { id } details }
    statements { kind text citations { id } }
    lines behind
  }
}`;

describe('timeline', () => {
  it('has every event of the chain, causes before effects', async () => {
    const { data } = await api.ask(timeline, { id: incident.correlationId });
    const ids = data.timeline.rows.map(({ event }: { event: { id: string } }) => event.id);
    expect(new Set(ids)).toEqual(new Set(incident.events.map(({ id }) => id)));
    const place = new Map<string, number>(ids.map((id: string, at: number) => [id, at]));
    const early = incident.events.filter(({ id, causedBy }) => causedBy && place.get(causedBy)! >= place.get(id)!);
    expect(early).toEqual([]);
    expect(data.timeline).toMatchObject({ problems: [], truncated: false, behind: 0 });
  });

  it('folds the objects of a bulk action into their parents', async () => {
    const { data } = await api.ask(timeline, { id: incident.correlationId, folded: true });
    expect(data.timeline.rows).toHaveLength(incident.events.length - 6);
    const bulk = data.timeline.rows.flatMap((row: { bulk: object | null }) => row.bulk ?? []);
    expect(bulk).toEqual([
      { size: 3, present: 3, outcomes: [] },
      { size: 3, present: 3, outcomes: [{ outcome: 'success', count: 3 }] },
    ]);
  });

  it('keeps event time and received time apart, flags clocks that lie, and shows their skew', async () => {
    const correlationId = 'c'.repeat(32);
    const next = emitterOf('late-clock');
    const day = 86_400_000;
    const events = [
      next({ correlationId, eventTime: new Date(Date.now() + 400 * day).toISOString() }),
      next({ correlationId, eventTime: '1999-12-31T23:00:00-05:00' }),
    ];
    const results = await api.trails.acme.writer.append(events, 'reported');
    expect(results.map(({ status }) => status)).toEqual(['accepted', 'accepted']);
    const { data } = await api.ask(timeline, { id: correlationId });
    const flags = data.timeline.rows.flatMap((row: { flags: string[] }) => row.flags);
    expect(flags).toEqual(expect.arrayContaining(['skew-future', 'skew-past']));
    expect(data.timeline.emitters[0]).toMatchObject({ emitter: 'late-clock', count: 2 });
    expect(data.timeline.rows.map((row: { eventTime: string }) => row.eventTime)).toContain('2000-01-01T04:00:00.000Z');
  });

  it('says so where the chain is longer than one answer', async () => {
    const small = await openTestApi({ limits: { chainEventsMax: 5 } });
    try {
      const { correlationId } = await appendIncident(small.trails.acme.writer, 0);
      const { data } = await small.ask(timeline, { id: correlationId });
      expect(data.timeline.truncated).toBe(true);
      expect(data.timeline.rows).toHaveLength(5);
      const refused = await small.ask(diagnose, { id: correlationId });
      expect(refused.errors?.[0]?.extensions.code).toBe('QUERY_TOO_COSTLY');
    } finally {
      await small.close();
    }
  });

  it('is for an agent only of the runs that it acts in', async () => {
    const own = await api.ask(timeline, { id: incident.correlationId }, 'agent');
    expect(own.errors).toBeUndefined();
    const correlationId = 'e'.repeat(32);
    const next = emitterOf('others');
    await api.trails.acme.writer.append(
      [next({ correlationId, actor: { principal: 'another-agent', kind: 'agent' } })],
      'platform',
    );
    // Reporting something into it makes it no chain of its own.
    await api.trails.acme.writer.append(
      [
        next({
          correlationId,
          phase: 'intent',
          outcome: undefined,
          actor: { principal: 'sales-agent', kind: 'agent' },
        }),
      ],
      'reported',
    );
    const foreign = await api.ask(timeline, { id: correlationId }, 'agent');
    expect(foreign.errors?.[0]?.extensions.code).toBe('NOT_FOUND');
    expect((await api.ask(timeline, { id: correlationId })).errors).toBeUndefined();
  });
});

describe('correlate', () => {
  const correlate = `query ($id: String!, $kind: String) {
    correlate(system: salesforce, externalId: $id, kind: $kind) { correlationIds behind }
  }`;

  it('finds the run from the other end, by the original id, with or without its kind', async () => {
    for (const kind of [undefined, 'Contact']) {
      const { data } = await api.ask(correlate, { id: incident.contact, kind });
      expect(data.correlate).toEqual({ correlationIds: [incident.correlationId], behind: 0 });
    }
  });

  it('takes the shorter form of a Salesforce id for the same record', async () => {
    const { data } = await api.ask(correlate, { id: incident.contact.slice(0, 15) });
    expect(data.correlate.correlationIds).toEqual([incident.correlationId]);
  });

  it('finds nothing for an id that nobody touched, or of another kind', async () => {
    expect((await api.ask(correlate, { id: '003000000000000AAA' })).data.correlate.correlationIds).toEqual([]);
    const other = await api.ask(correlate, { id: incident.contact, kind: 'Account' });
    expect(other.data.correlate.correlationIds).toEqual([]);
  });
});

describe('gaps', () => {
  it('names each missing range, until it is filled', async () => {
    const next = emitterOf('gappy');
    const events = Array.from({ length: 9 }, () => next());
    const gaps = async () =>
      (await api.ask('{ gaps(emitter: "gappy") { emitters { high missing { from to } } } }')).data.gaps.emitters[0];
    await api.trails.acme.writer.append([events[0]!, events[3]!, events[8]!], 'reported');
    expect(await gaps()).toEqual({
      high: 9,
      missing: [
        { from: 2, to: 3 },
        { from: 5, to: 8 },
      ],
    });
    await api.trails.acme.writer.append([events[1]!, events[2]!], 'reported');
    expect((await gaps()).missing).toEqual([{ from: 5, to: 8 }]);
    const all = await api.ask('{ gaps { emitters { emitter } next } }');
    expect(all.data.gaps).toEqual({ emitters: [{ emitter: 'gappy' }], next: null });
  });
});

describe('diagnose', () => {
  it('establishes the stale mapping, and cites entries that exist', async () => {
    const { data } = await api.ask(diagnose, { id: incident.correlationId });
    const { verdict, findings, statements, lines } = data.diagnose;
    expect(verdict).toMatchObject({ state: 'established', causes: ['integration'] });
    expect(lines[0]).toContain('integration');
    const { reader } = api.trails.acme;
    const cited = [...findings, ...statements].flatMap(({ citations }: { citations: { id: string }[] }) => citations);
    expect(cited.length).toBeGreaterThan(0);
    for (const { id } of cited) expect(await reader.byId(id as never)).toBeDefined();
    expect(statements.map(({ kind }: { kind: string }) => kind)).toEqual(
      expect.arrayContaining(['trigger', 'identity', 'permission', 'change', 'step', 'intact', 'version']),
    );
    const change = statements.find(({ kind }: { kind: string }) => kind === 'change');
    expect(change.text).toContain('+49 151 2');
  });

  it('shows no values to a role that sees no payload', async () => {
    const { text, data } = await api.ask(diagnose, { id: incident.correlationId }, 'admin');
    expect(text).not.toContain('+49 151 2');
    expect(data.diagnose.verdict).toMatchObject({ state: 'established', causes: ['integration'] });
  });

  it('establishes nothing on a record that was altered in the index', async () => {
    const index = api.database.admin.db(instanceDatabase(api.ids.acme)).collection('events');
    const id = incident.attemptId;
    const row = await index.findOne({ id });
    const original = (row!['entry'] as Binary).buffer;
    const altered = Buffer.from(original);
    altered.write('contacts@4', altered.indexOf('contacts@3'));
    await index.updateOne({ id }, { $set: { entry: new Binary(altered) } });
    try {
      const { data } = await api.ask(diagnose, { id: incident.correlationId });
      expect(data.diagnose.verdict).toMatchObject({ state: 'undetermined', why: 'record-not-intact' });
      const statement = data.diagnose.statements.find(({ kind }: { kind: string }) => kind === 'not-intact');
      expect(statement.text).toContain(String(row!._id));
    } finally {
      await index.updateOne({ id }, { $set: { entry: new Binary(original) } });
    }
  });

  it('establishes nothing on a record whose own bytes were altered', async () => {
    const segments = api.database.admin.db(instanceDatabase(api.ids.acme)).collection('record');
    const { reader } = api.trails.acme;
    const event = (await reader.byId(incident.attemptId as never))!;
    const segment = await segments.findOne({ _id: event.segment as never });
    const original = (segment!['entries'] as Binary).buffer;
    const altered = Buffer.from(original);
    altered.write('contacts@4', altered.indexOf('contacts@3'));
    await segments.updateOne({ _id: event.segment as never }, { $set: { entries: new Binary(altered) } });
    try {
      const { data } = await api.ask(diagnose, { id: incident.correlationId });
      expect(data.diagnose.verdict).toMatchObject({ state: 'undetermined', why: 'record-not-intact' });
    } finally {
      await segments.updateOne({ _id: event.segment as never }, { $set: { entries: new Binary(original) } });
    }
  });

  it('is one recorded read', async () => {
    const { reader } = api.trails.acme;
    const reads = async () => {
      await reader.fresh(5000);
      return reader.find({ action: 'trail.read', principal: 'carla' }, { limit: 100 });
    };
    const before = (await reads()).length;
    await api.ask(diagnose, { id: incident.correlationId }, 'compliance');
    expect((await reads()).length).toBe(before + 1);
  });

  it('answers an unknown correlation id with NOT_FOUND', async () => {
    const { status, errors } = await api.ask(diagnose, { id: '1'.repeat(32) });
    expect(status).toBe(404);
    expect(errors?.[0]?.extensions).toEqual({ code: 'NOT_FOUND', retryable: false });
  });
});
