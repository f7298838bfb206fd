import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../domain/tree/checkpoint.ts';
import { leafHash } from '../../domain/tree/hash.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { verifyConsistency, verifyInclusion } from '../../domain/tree/proof.ts';
import { parseTlogProof, verifyTlogProof } from '../../domain/tree/tlogProof.ts';
import { commitment } from '../../domain/entry.ts';
import { entrySchema } from '../../schema/event.ts';
import { instanceDatabase } from '../../store/provisioning/collections.ts';
import { emitterOf } from '../trail/events.ts';
import { openTestApi, type TestApi } from './openApi.ts';

let api: TestApi;
const next = emitterOf('proofs');
const event = next({ parts: [{ name: 'after', content: { Phone: '+49 30 7654321' } }] });
const bytes = (base64: string) => Buffer.from(base64, 'base64');

beforeAll(async () => {
  api = await openTestApi();
  await api.trails.acme.writer.append([event, ...Array.from({ length: 300 }, () => next())], 'platform');
});
afterAll(() => api.close());

const proofFields = 'index size entry leafHash hashes checkpoint tlogProof';

describe('proofs', () => {
  it('an outsider checks an entry with the key alone', async () => {
    const { vkey, origin } = api.trails.acme;
    const { data } = await api.ask(
      `query ($id: EventId!) { checkpoint { note size root origin logUrl vkey } inclusionProof(event: $id) { ${proofFields} } }`,
      { id: event.id },
    );
    const { checkpoint, inclusionProof } = data;
    expect(checkpoint).toMatchObject({ origin, vkey, logUrl: `http://${origin}` });
    const { size, root } = openCheckpoint(Buffer.from(checkpoint.note), [parseVkey(vkey)], origin);
    expect(entrySchema.parse(JSON.parse(bytes(inclusionProof.entry).toString())).id).toBe(event.id);
    expect(leafHash(bytes(inclusionProof.entry)).toString('hex')).toBe(inclusionProof.leafHash);
    const claim = {
      leafHash: leafHash(bytes(inclusionProof.entry)),
      index: inclusionProof.index,
      size,
      root,
      proof: inclusionProof.hashes.map(bytes),
    };
    expect(verifyInclusion(claim)).toBe(true);
    const proof = parseTlogProof(Buffer.from(inclusionProof.tlogProof));
    expect(verifyTlogProof(proof, bytes(inclusionProof.entry), { keys: [parseVkey(vkey)], origin })?.size).toBe(size);
  });

  it('a later log is shown to continue an earlier one', async () => {
    const { data: before } = await api.ask('{ checkpoint { size root } }');
    await api.trails.acme.writer.append(
      Array.from({ length: 20 }, () => next()),
      'platform',
    );
    const { data } = await api.ask(
      `query ($from: LogIndex!) { checkpoint { size root } consistencyProof(from: $from) { from to hashes } }`,
      { from: before.checkpoint.size },
    );
    expect(
      verifyConsistency({
        oldSize: before.checkpoint.size,
        oldRoot: bytes(before.checkpoint.root),
        newSize: data.checkpoint.size,
        newRoot: bytes(data.checkpoint.root),
        proof: data.consistencyProof.hashes.map(bytes),
      }),
    ).toBe(true);
    const same = await api.ask(`query ($n: LogIndex!) { consistencyProof(from: $n, to: $n) { hashes } }`, {
      n: before.checkpoint.size,
    });
    expect(same.data.consistencyProof.hashes).toEqual([]);
  });

  it('refuses sizes and indexes that do not exist', async () => {
    for (const [query, code] of [
      ['{ inclusionProof(index: 999999) { size } }', 'NOT_FOUND'],
      ['{ inclusionProof(index: 0, size: 999999) { size } }', 'BAD_INPUT'],
      ['{ inclusionProof(index: 10, size: 5) { size } }', 'BAD_INPUT'],
      ['{ inclusionProof { size } }', 'BAD_INPUT'],
      ['{ consistencyProof(from: 0) { to } }', 'BAD_INPUT'],
      ['{ consistencyProof(from: 5, to: 4) { to } }', 'BAD_INPUT'],
      ['{ consistencyProof(from: 1, to: 999999) { to } }', 'BAD_INPUT'],
    ] as const)
      expect([query, (await api.ask(query)).errors?.[0]?.extensions.code]).toEqual([query, code]);
  });
});

describe('disclosure', () => {
  const disclose = `mutation ($event: EventId!, $part: String!) {
    disclose(event: $event, part: $part) {
      state chunks { commitment salt plaintext } proof { ${proofFields} }
    }
  }`;

  it('gives what is needed to check one plaintext, and is recorded before it leaves', async () => {
    const { data } = await api.ask(disclose, { event: event.id, part: 'after' }, 'compliance');
    const { chunks, proof, state } = data.disclose;
    expect(state).toBe('present');
    const entry = entrySchema.parse(JSON.parse(bytes(proof.entry).toString()));
    expect(chunks.map((chunk: { commitment: string }) => chunk.commitment)).toEqual(
      entry.parts.filter(({ name }) => name === 'after').map((part) => part.commitment),
    );
    const [chunk] = chunks;
    expect(commitment(bytes(chunk.salt), bytes(chunk.plaintext))).toBe(chunk.commitment);
    expect(JSON.parse(bytes(chunk.plaintext).toString())).toEqual({ Phone: '+49 30 7654321' });
    const { reader } = api.trails.acme;
    await reader.fresh(5000);
    const [recorded] = await reader.find({ action: 'trail.disclose', cause: event.id }, { limit: 10 });
    expect(recorded?.entry.actor.principal).toBe('carla');
    expect(recorded!.index).toBeLessThan(proof.size);
  });

  it('is refused to roles that may not, and for parts that are not there', async () => {
    const refused = await api.ask(disclose, { event: event.id, part: 'after' }, 'operator');
    expect(refused.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const absent = await api.ask(disclose, { event: event.id, part: 'before' }, 'compliance');
    expect(absent.errors?.[0]?.extensions.code).toBe('NOT_FOUND');
  });
});

describe("the server's own check", () => {
  const verify = '{ verifyLog { outcome size entriesChecked problem { kind index message } } }';

  it('verifies its log, and names the first entry that was altered', async () => {
    const good = await api.ask(verify);
    expect(good.data.verifyLog).toMatchObject({ outcome: 'verified', problem: null });
    expect(good.data.verifyLog.entriesChecked).toBe(good.data.verifyLog.size);

    const { reader } = api.trails.acme;
    await reader.fresh(5000);
    const victim = (await reader.byId(event.id))!;
    const segments = api.database.admin.db(instanceDatabase(api.ids.acme)).collection('record');
    const segment = await segments.findOne({ _id: victim.segment as never });
    const entries = Buffer.from(segment!['entries'].buffer as Uint8Array);
    const at = entries.indexOf('salesforce');
    const index = victim.index;
    entries.write('salesfORCE', at);
    await segments.updateOne({ _id: victim.segment as never }, { $set: { entries } });
    const bad = await api.ask(verify);
    expect(bad.data.verifyLog).toMatchObject({
      outcome: 'refuted',
      problem: { kind: 'entry-altered', index },
      entriesChecked: index,
    });
  });
});
