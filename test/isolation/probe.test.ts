import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { ProbeDeps } from '../../activities/probe/createProbeActivities.ts';
import { boundaries } from '../../domain/isolation/contract.ts';
import { canaryInstance } from '../../domain/instances/names.ts';
import type { EventId } from '../../schema/ids.ts';
import { localPlatformSpec } from '../../stack/provision/platform.ts';
import { newEventId } from '../../trail/recorder.ts';
import { seeAll } from '../../trail/reader.ts';
import { openTestPlatform, type TestPlatform } from '../instances/platform.ts';

let test: TestPlatform;
/** Further attempts of a test's own. */
let others: ProbeDeps['others'] | undefined;

beforeAll(async () => {
  test = await openTestPlatform();
  await test.setUp(test.name('acme'), localPlatformSpec);
  await test.work(undefined, { others: (target) => (others ?? test.usualAttempts)(target) });
});
afterAll(() => test.close());

const mutation = `mutation ($input: ProbeIsolationInput!) {
  probeIsolation(input: $input) { id state attempts breaches unable event index reportDigest }
}`;
const probe = async (id: EventId = newEventId(), role = 'auditor') =>
  (await test.ask(test.tokens[role]!, mutation, { input: { id } })).data.probeIsolation;

const entriesOf = async (id: EventId) => {
  await test.platform.reader.fresh(60_000);
  const found = await test.platform.reader.find({ emitter: `platform/probe/${id}` }, { limit: 20 });
  return test.platform.reader.withParts(found, seeAll);
};

describe('the isolation probe', () => {
  it('finds on the running system that every boundary holds, and records it as evidence', async () => {
    const id = newEventId();
    const found = await probe(id);
    expect(found).toMatchObject({ id, state: 'HELD', breaches: [], unable: [] });
    const [request, result] = await entriesOf(id);
    expect(request?.entry).toMatchObject({ phase: 'intent', actor: { principal: 'anton' }, action: 'isolation.probe' });
    expect(result?.entry).toMatchObject({
      id: found.event,
      phase: 'outcome',
      outcome: 'success',
      count: found.attempts,
      parametersDigest: found.reportDigest,
    });
    const part = result?.parts?.['report'];
    const report =
      part?.state === 'present' ? (part.content as { attempts: { boundary: string; result: string }[] }) : undefined;
    expect(new Set(report?.attempts.map(({ boundary }) => boundary))).toEqual(new Set(boundaries));
    expect(new Set(report?.attempts.map((one) => one.result))).toEqual(new Set(['refused']));
    expect(createHash('sha256').update(canonicalize(report)!).digest('hex')).toBe(found.reportDigest);
    // It stands in the signed log, and can be proven like every other entry.
    const proof = await test.ask(
      test.tokens['auditor']!,
      'query ($id: EventId!) { inclusionProof(event: $id) { index checkpoint } }',
      { id: found.event },
    );
    expect(proof.data.inclusionProof).toMatchObject({ index: found.index, checkpoint: expect.any(String) });
  });

  it('is recorded where it came from: the canary’s own log has its tokens, and what it looked for in vain', async () => {
    await probe();
    const { reader } = await test.trailOf(canaryInstance);
    await reader.fresh(60_000);
    const actions = new Set((await reader.find({}, { limit: 500 })).map(({ entry }) => entry.action));
    for (const action of ['token.issue', 'token.revoke', 'trail.read', 'authorization.decide', 'input.refuse'] as const)
      expect(actions).toContain(action);
  });

  it('is one probe however often the same is asked for', async () => {
    const id = newEventId();
    const [one, other] = await Promise.all([probe(id), probe(id)]);
    expect(one).toEqual(other);
    expect(await entriesOf(id)).toHaveLength(2);
  });

  it('names a boundary that gives way, and raises an alert of its own', async () => {
    others = () => [{ boundary: 'archive', attempt: 'a hole', make: async () => 'crossed' }];
    const id = newEventId();
    const found = await probe(id);
    others = undefined;
    expect(found).toMatchObject({ state: 'BREACHED', breaches: ['archive'] });
    const [, result, alert] = await entriesOf(id);
    expect(result?.entry).toMatchObject({ outcome: 'failure', fields: ['archive'] });
    expect(alert?.entry).toMatchObject({
      action: 'isolation.breach',
      outcome: 'failure',
      fields: ['archive'],
      causedBy: result?.entry.id,
    });
  });

  it('says what it could not try, and does not take that for safe', async () => {
    others = () => [{ boundary: 'archive', attempt: 'away', make: () => Promise.reject(new Error('away')) }];
    const found = await probe();
    others = undefined;
    expect(found).toMatchObject({ state: 'INCOMPLETE', breaches: [], unable: ['archive', 'payload'] });
  });
});
