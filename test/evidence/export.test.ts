import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitment } from '../../domain/entry.ts';
import { parseVkey } from '../../domain/tree/note.ts';
import { parseTlogProof, verifyTlogProof } from '../../domain/tree/tlogProof.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { Entry } from '../../schema/event.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { goBuild, isThere, pathOf as programPath } from '../setup/programs.ts';
import { emitterOf } from '../trail/events.ts';
import {
  exported,
  linesOf,
  memberNamed,
  membersOf,
  packOf,
  ran,
  replaced,
  sha256,
  verified,
  type Member,
} from './packs.ts';

let api: TestApi;
const next = emitterOf('evidence');
const correlationId = 'ab'.repeat(16);
const note = 'ä\n"quoted"';
/** Not a multiple of the chunk's size, so that a chunk ends inside a character. */
const long = `x${'ä'.repeat(700_000)}`;
const chain = [
  next({ correlationId, parts: [{ name: 'after', content: { Phone: '+49 30 7654321', note } }] }),
  next({
    correlationId,
    action: 'authorization.decide',
    phase: 'decision',
    outcome: 'success',
    authorization: {
      about: 'agent',
      result: 'allow',
      policySet: 'default',
      policyVersion: 1,
      policies: ['agent.declared-scope'],
      controlEpoch: 1,
    },
    versions: { mapping: 'contact@4', model: 'unpublished/1' },
  }),
  next({ correlationId, parts: [{ name: 'before', content: long }] }),
];
const between = 700;
const key = () => ['--key', api.trails.acme.vkey];

let pack: Buffer;
let members: Member[];
let indexes: number[];

beforeAll(async () => {
  api = await openTestApi();
  const { writer } = api.trails.acme;
  const [first] = await writer.append(chain.slice(0, 1), 'platform');
  await writer.append(
    Array.from({ length: between }, () => next()),
    'platform',
  );
  const last = await writer.append(chain.slice(1), 'platform');
  indexes = [first, ...last].map((result) => (result?.status === 'accepted' ? result.receipt.index : -1));
  pack = await exported(api, { correlationId });
  members = await membersOf(pack);
});
afterAll(() => api.close());

describe('a pack of a chain', () => {
  it('is verified by the key of the log alone', async () => {
    const { exit, report } = await verified(pack, ...key());
    expect(report.problems).toEqual([]);
    expect({ exit, outcome: report.outcome, entries: report.entries }).toEqual({
      exit: 0,
      outcome: 'verified',
      entries: 3,
    });
    expect(report.parts).toEqual({ present: 4, withheld: 0, erased: 0, damaged: 0 });
  });

  it('says what a chain can not show, and what a missing key means', async () => {
    const { out } = await ran(pack, ...key());
    expect(out.at(-1)).toMatch(/^VERIFIED/);
    expect(out.join('\n')).toContain('can not show that none was left out');
    const unauthenticated = await ran(pack);
    expect(unauthenticated.exit).toBe(3);
    expect(unauthenticated.out.join('\n')).toMatch(/NO KEY WAS GIVEN[^]*NOT AUTHENTICATED/);
  });

  it('holds the entries as they were logged, each with a proof that tools for logs take', async () => {
    const { vkey, origin, reader } = api.trails.acme;
    const entries = memberNamed(members, 'entries/000000.ndjson').bytes.toString().trimEnd().split('\n');
    const proofs = linesOf<{ index: number }>(memberNamed(members, 'proofs/000000.ndjson'));
    expect(proofs.map(({ index }) => index)).toEqual(indexes);
    for (const [at, index] of indexes.entries()) {
      const [recorded] = await reader.tiles.entries(index, 1);
      expect(Buffer.from(entries[at]!)).toEqual(recorded);
      const { out } = await ran(pack, ...key(), '--tlog-proof', String(index));
      const proof = parseTlogProof(Buffer.from(`${out.join('\n')}\n`));
      const checkpoint = verifyTlogProof(proof, recorded!, { keys: [parseVkey(vkey)], origin });
      expect([proof.index, checkpoint?.origin]).toEqual([index, origin]);
    }
  });

  it('holds the payload byte for byte, so that anybody can check the commitments', () => {
    const entries = linesOf<Entry>(memberNamed(members, 'entries/000000.ndjson'));
    const payloads = members
      .filter(({ name }) => name.startsWith('payloads/'))
      .flatMap((member) =>
        linesOf<{ index: number; position: number; salt: string; text?: string; base64?: string }>(member),
      );
    const plaintexts = payloads.map(({ text, base64 }) =>
      text === undefined ? Buffer.from(base64!, 'base64') : Buffer.from(text),
    );
    for (const [at, { index, position, salt }] of payloads.entries()) {
      const part = entries[indexes.indexOf(index)]!.parts[position]!;
      expect(commitment(Buffer.from(salt, 'base64'), plaintexts[at]!)).toBe(part.commitment);
    }
    const contents = Map.groupBy(payloads.keys(), (at) => payloads[at]!.index);
    const joined = [...contents.values()].map((ats) =>
      JSON.parse(Buffer.concat(ats.map((at) => plaintexts[at]!)).toString()),
    );
    expect(joined).toEqual([{ Phone: '+49 30 7654321', note }, { Phone: '+49 30 1234567' }, long]);
  });

  it('holds the policies and versions that the entries cite, and what published them', () => {
    const citations = JSON.parse(memberNamed(members, 'citations.json').bytes.toString());
    const cited = linesOf<Entry>(memberNamed(members, 'cited/entries/000000.ndjson'));
    const citedIndexes = linesOf<{ index: number }>(memberNamed(members, 'cited/proofs/000000.ndjson'));
    const entryAt = (index: number) => cited[citedIndexes.findIndex((proof) => proof.index === index)]!;
    const [set, platform] = citations.policySets;
    expect(set).toMatchObject({ policySet: 'default', version: 1, member: 'policies/default@1.cedar' });
    expect(memberNamed(members, set.member).bytes.toString()).toBe(defaultPolicies);
    expect(entryAt(set.publishedAt).control).toMatchObject({
      change: 'policy.publish',
      digest: sha256(Buffer.from(defaultPolicies)),
    });
    expect(platform).toMatchObject({ policySet: 'platform', publishedAt: null });
    const { mapping, model } = Object.fromEntries(
      citations.versions.map((version: { what: string }) => [version.what, version]),
    );
    expect(model).toEqual({ what: 'model', value: 'unpublished/1', publishedAt: null });
    expect(mapping).toMatchObject({ what: 'mapping', value: 'contact@4' });
  });

  it('reads for whoever opens it: what it is, who asked, and how to check it', () => {
    const readme = memberNamed(members, 'README.md').bytes.toString();
    const { scope, askedBy, id } = JSON.parse(memberNamed(members, 'pack.json').bytes.toString());
    expect(scope).toEqual({ kind: 'correlation', correlationId });
    expect(askedBy).toEqual({ principal: 'akira', kind: 'human', role: 'auditor' });
    expect(readme).toContain(id);
    expect(readme).toContain('node verify.mjs');
    expect(members.at(-1)!.name).toBe('manifest');
    const lines = memberNamed(members, 'manifest').bytes.toString().split('\n');
    for (const { name, bytes } of members.slice(0, -1))
      expect(lines).toContain(`${sha256(bytes)} ${bytes.length} ${name}`);
  });

  it('is checked by the verifier inside, with nothing but a plain Node', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'trailkeeper-pack-'));
    try {
      await writeFile(join(folder, 'pack.tar.gz'), pack);
      await promisify(execFile)('tar', ['-xzf', 'pack.tar.gz'], { cwd: folder });
      const { id } = JSON.parse(memberNamed(members, 'pack.json').bytes.toString());
      const verifier = join(folder, `evidence-${id.replaceAll('-', '').slice(0, 12)}`, 'verify.mjs');
      expect(await readFile(verifier, 'utf8')).toBe(
        await readFile(join(import.meta.dirname, '../../domain/evidence/verifier.mjs'), 'utf8'),
      );
      // The machine's own Node may be an older one than ours.
      const { stdout } = await promisify(execFile)('node', [verifier, 'pack.tar.gz', ...key()], {
        cwd: folder,
        env: {
          PATH: (process.env['PATH'] ?? '')
            .split(':')
            .filter((part) => !part.includes('node_modules'))
            .join(':'),
        },
      });
      expect(stdout).toContain('VERIFIED');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

const goFolder = join(import.meta.dirname, '../go/verify-proof');
const built = await mkdtemp(join(tmpdir(), 'trailkeeper-go-'));
afterAll(() => rm(built, { recursive: true, force: true }));
const verifyProof = await goBuild(goFolder, 'verify-proof', built, '.');

describe.skipIf(!isThere(verifyProof))("a proof out of a pack, in somebody else's implementation", () => {
  it('holds for its entry, and for no other', async () => {
    const { out } = await ran(pack, ...key(), '--tlog-proof', String(indexes[1]));
    const entries = memberNamed(members, 'entries/000000.ndjson').bytes.toString().split('\n');
    const proof = join(built, 'proof');
    await writeFile(proof, `${out.join('\n')}\n`);
    const judged = async (entry: string): Promise<number> => {
      await writeFile(join(built, 'entry'), entry);
      const argv = ['-proof', proof, '-entry', join(built, 'entry'), '-vkey', api.trails.acme.vkey];
      return promisify(execFile)(programPath(verifyProof), argv).then(
        () => 0,
        (error: { code: number }) => error.code,
      );
    };
    expect([await judged(entries[1]!), await judged(entries[0]!)]).toEqual([0, 1]);
  });
});

describe('a pack of a range', () => {
  it('is shown to be complete, across the parts that it is cut into', async () => {
    const range = { from: 1, to: indexes.at(-1)! };
    const { exit, report } = await verified(await exported(api, { range }), ...key());
    expect(report.problems).toEqual([]);
    expect({ exit, complete: report.complete, entries: report.entries }).toEqual({
      exit: 0,
      complete: true,
      entries: range.to,
    });
    expect(report.emitters.gapless).toBe(report.emitters.seen);
  });

  it('reaches to the last entry that there is where no end is given', async () => {
    const { report } = await verified(await exported(api, { range: {} }), ...key());
    expect(report.problems).toEqual([]);
    expect(report.entries).toBeGreaterThan(between);
  });
});

describe('a pack of a run', () => {
  it('is the chain of the run', async () => {
    const { data } = await api.ask(
      'mutation { openRun(input: { purpose: "evidence", onBehalfOf: "dana" }) { runId correlationId } }',
      {},
      'agent',
    );
    const { runId } = data.openRun;
    const own = await exported(api, { run: runId }, 'compliance');
    const { exit, report } = await verified(own, ...key());
    expect(report.problems).toEqual([]);
    expect(exit).toBe(0);
    expect(report.entries).toBeGreaterThan(0);
    const another = replaced(await membersOf(own), 'pack.json', (bytes) =>
      Buffer.from(bytes.toString().replace(`"runId": "${runId}"`, `"runId": "${runId.replace(/.$/, 'x')}"`)),
    );
    const { problems } = (await verified(packOf(another), ...key())).report;
    expect(problems.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['entries-missing', 'member-altered']));
  });
});

describe('the emitters of a chain', () => {
  it('show an entry that was left out, where nothing else can', async () => {
    const nextOf = emitterOf('platform/action/01a20d4d-2a0e-768b-88bb-780b8d80ebbd');
    const own = { correlationId: 'ef'.repeat(16) };
    const events = Array.from({ length: 4 }, () => nextOf(own));
    await api.trails.acme.writer.append(events, 'platform');
    const rows = api.database.admin.db(`tk_${api.ids.acme}`).collection('events');
    const whole = await verified(await exported(api, own), ...key());
    expect([whole.report.entries, whole.report.warnings]).toEqual([4, []]);
    // As a database administrator who takes a row out of the index, from which a chain is read.
    await rows.deleteOne({ id: events[1]!.id });
    const { exit, report } = await verified(await exported(api, own), ...key());
    expect([exit, report.entries, report.warnings.map(({ kind }) => kind)]).toEqual([0, 3, ['sequence-gap']]);
  });
});

describe('what the index says', () => {
  it('counts for nothing against the tree: what was forged in it does not get into a pack', async () => {
    const rows = api.database.admin.db(`tk_${api.ids.acme}`).collection('events');
    const forged = Buffer.from((await rows.findOne({ _id: indexes[0] as never }))!['entry'].buffer as Uint8Array);
    forged.write('salesFORCE', forged.indexOf('salesforce'));
    await rows.updateOne({ _id: indexes[0] as never }, { $set: { entry: forged } });
    await rows.deleteOne({ _id: (indexes[0]! + 1) as never });
    const { exit, report } = await verified(
      await exported(api, { range: { from: indexes[0]!, to: indexes[0]! + 3 } }),
      ...key(),
    );
    expect({ exit, entries: report.entries, problems: report.problems }).toEqual({ exit: 0, entries: 4, problems: [] });
  });
});
