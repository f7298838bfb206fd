/** Whoever alters a pack can be told what they altered, by a verifier that they did not supply. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { generateKeyPairSync, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatManifest, memberOf } from '../../domain/evidence/manifest.ts';
import { encodeVkey, noteKey, signNote, type NoteSigner } from '../../domain/tree/note.ts';
import { openTestApi, type TestApi } from '../api/openApi.ts';
import { emitterOf } from '../trail/events.ts';
import {
  exported,
  memberNamed,
  membersOf,
  packOf,
  ran,
  replaced,
  verified,
  type Member,
  type Report,
} from './packs.ts';

let api: TestApi;
let pack: Buffer;
let members: Member[];
const next = emitterOf('tampered');
const to = 12;
const key = () => ['--key', api.trails.acme.vkey];

beforeAll(async () => {
  api = await openTestApi();
  const decision = {
    about: 'agent',
    result: 'allow',
    policySet: 'default',
    policyVersion: 1,
    policies: ['agent.declared-scope'],
    controlEpoch: 1,
  };
  await api.trails.acme.writer.append(
    Array.from({ length: 20 }, (_, at) => next(at === 0 ? { authorization: decision } : {})),
    'platform',
  );
  await api.trails.globex.writer.append([emitterOf('other')()], 'platform');
  const { data } = await api.ask('{ events(filter: { emitter: "tampered" }, first: 20) { edges { node { index } } } }');
  const first = data.events.edges[0].node.index as number;
  pack = await exported(api, { range: { from: first, to: first + to } });
  members = await membersOf(pack);
});
afterAll(() => api.close());

const entries = 'entries/000000.ndjson';
const proofs = 'proofs/000000.ndjson';
const payloads = 'payloads/000000.ndjson';

/** What the verifier says of a pack that was put together anew; that it is refuted is checked here. */
const problemsOf = async (altered: readonly Member[]): Promise<string[]> => {
  const { exit, report } = await verified(packOf(altered), ...key());
  expect([exit, report.outcome]).toEqual([1, 'refuted']);
  return kindsOf(report);
};
const kindsOf = ({ problems }: Report): string[] =>
  problems.map(({ kind, member }) => (member ? `${kind} ${member}` : kind));

const text = (change: (before: string) => string) => (bytes: Buffer) => {
  const before = bytes.toString();
  const after = change(before);
  if (after === before) throw new Error('nothing was altered');
  return Buffer.from(after);
};
const lines = (change: (before: string[]) => string[]) =>
  text((before) => `${change(before.trimEnd().split('\n')).join('\n')}\n`);

describe('a pack that was put together anew', () => {
  it('holds where nothing was altered', async () => {
    const { exit, report } = await verified(packOf(members), ...key());
    expect([exit, report.problems]).toEqual([0, []]);
  });

  it.each(['README.md', 'verify.mjs', 'pack.json', 'citations.json', 'summary.json', 'policies/default@1.cedar'])(
    'shows %s altered',
    async (name) => {
      const altered = replaced(members, name, (bytes) => Buffer.concat([bytes, Buffer.from(' ')]));
      expect(await problemsOf(altered)).toContain(`member-altered ${name}`);
    },
  );

  it.each([entries, proofs, payloads, 'checkpoint', 'citations.json', 'README.md', 'manifest', 'pack.json'])(
    'shows %s removed',
    async (name) => {
      expect(await problemsOf(members.filter((member) => member.name !== name))).toContain(`member-missing ${name}`);
    },
  );

  it('shows a member added, wherever it stands', async () => {
    const more = { name: 'extra.txt', bytes: Buffer.from('believe me') };
    expect(await problemsOf([more, ...members])).toContain('member-added extra.txt');
    expect(await problemsOf([...members, more])).toEqual(
      expect.arrayContaining(['member-added extra.txt', 'member-added manifest']),
    );
    const twice = memberNamed(members, 'summary.json');
    expect(await problemsOf([twice, ...members])).toContain('member-added summary.json');
  });

  it('shows members in another order', async () => {
    const swapped = [...members];
    const at = swapped.findIndex(({ name }) => name === 'citations.json');
    [swapped[at], swapped[at + 1]] = [swapped[at + 1]!, swapped[at]!];
    expect(await problemsOf(swapped)).toEqual([expect.stringMatching(/^members-reordered /)]);
    const early = [memberNamed(members, payloads), ...members.filter(({ name }) => name !== payloads)];
    expect(await problemsOf(early)).toContain(`members-reordered ${payloads}`);
  });
});

describe('what stands in a pack', () => {
  it.each([
    [
      'an entry altered',
      entries,
      text((before) => before.replace('salesforce', 'salesfarce')),
      `not-in-log ${entries}`,
    ],
    ['an entry removed', entries, lines((all) => all.toSpliced(4, 1)), `proof-missing ${proofs}`],
    ['entries in another order', entries, lines(([a, b, ...rest]) => [b!, a!, ...rest]), `not-in-log ${entries}`],
    ['an entry repeated', entries, lines((all) => [all[0]!, ...all]), `proof-missing ${proofs}`],
    ['an entry that is none', entries, lines((all) => ['{}', ...all.slice(1)]), `entry-malformed ${entries}`],
    [
      'a proof altered',
      proofs,
      text((before) => before.replace(/"hashes":\["./, '"hashes":["x')),
      `not-in-log ${entries}`,
    ],
    [
      'a proof for another place',
      proofs,
      text((before) => before.replace(/"index":(\d+)/, '"index":0')),
      `not-in-log ${entries}`,
    ],
    ['a proof that is none', proofs, lines(([, ...rest]) => ['null', ...rest]), `proof-malformed ${proofs}`],
    ['a plaintext altered', payloads, text((before) => before.replace('+49', '+48')), `payload-altered ${payloads}`],
    [
      'a salt altered',
      payloads,
      text((before) => before.replace(/"salt":"..../, '"salt":"AAAA')),
      `payload-altered ${payloads}`,
    ],
    ['a payload part removed', payloads, lines((all) => all.slice(1)), `payload-missing ${payloads}`],
    ['the last payload part removed', payloads, lines((all) => all.slice(0, -1)), `payload-missing ${payloads}`],
    ['a payload part added', payloads, lines((all) => [...all, all[0]!]), `payload-added ${payloads}`],
    [
      'a payload part of a state that there is not',
      payloads,
      text((before) => before.replace('present', 'gone')),
      `payload-altered ${payloads}`,
    ],
    [
      'the checkpoint of another size',
      'checkpoint',
      text((before) => before.replace(/\n(\d+)\n/, '\n1$1\n')),
      'checkpoint-signature checkpoint',
    ],
    [
      'the signature under the checkpoint',
      'checkpoint',
      text((before) => before.replace(/(\S{20})\n$/, 'AAAAAAAAAAAAAAAAAAA=\n')),
      'checkpoint-signature checkpoint',
    ],
    ['a checkpoint that is none', 'checkpoint', () => Buffer.from('none\n'), 'checkpoint-malformed checkpoint'],
    [
      'a digest in the manifest',
      'manifest',
      text((before) => before.replace(/\n[0-9a-f]{8}/, '\n00000000')),
      'manifest-signature manifest',
    ],
    [
      'a line less in the manifest',
      'manifest',
      text((before) => before.replace(/\n[0-9a-f]{64} \d+ README.md/, '')),
      'manifest-signature manifest',
    ],
    ['a manifest that is none', 'manifest', () => Buffer.from('none\n'), 'manifest-malformed manifest'],
    ['who asked', 'pack.json', text((before) => before.replace('"akira"', '"mallory"')), 'description-wrong pack.json'],
    [
      'what was asked for',
      'pack.json',
      text((before) => before.replace(/"to": \d+/, '"to": 5')),
      'outside-scope entries/000000.ndjson',
    ],
    [
      'another key for the manifest',
      'pack.json',
      text((before) => before.replace(/"announcedAt": \d+/, '"announcedAt": 1')),
      'manifest-key-unproven manifest',
    ],
    [
      'a format of the future',
      'pack.json',
      text((before) => before.replace('"version": 1', '"version": 2')),
      'description-malformed pack.json',
    ],
    [
      'a policy',
      'policies/default@1.cedar',
      text((before) => before.replace('permit', 'forbid')),
      'policy-altered policies/default@1.cedar',
    ],
    [
      'a count',
      'summary.json',
      text((before) => before.replace('"entries": ', '"entries": 1')),
      'summary-wrong summary.json',
    ],
    [
      'a citation',
      'citations.json',
      text((before) => before.replace('"version": 1', '"version": 7')),
      'citation-missing citations.json',
    ],
  ])('is shown where it was altered: %s', async (_what, name, change, expected) => {
    expect(await problemsOf(replaced(members, name, change))).toContain(expected);
  });

  it('is shown with the index of the first entry that does not hold', async () => {
    const at = 6;
    const altered = replaced(
      members,
      entries,
      lines((all) => all.map((line, position) => (position === at ? line.replace('salesforce', 'salesfarce') : line))),
    );
    const { report } = await verified(packOf(altered), ...key());
    const { index } = JSON.parse(memberNamed(members, proofs).bytes.toString().split('\n')[at]!);
    expect(report.problems[0]).toMatchObject({ kind: 'not-in-log', index });
  });

  it('is shown where entries were left out together with proofs and payloads', async () => {
    const cut = [entries, proofs, payloads].reduce<Member[]>(
      (all, name) =>
        replaced(
          all,
          name,
          lines((one) => one.toSpliced(3, 1)),
        ),
      members,
    );
    expect(await problemsOf(cut)).toContain(`entries-missing ${entries}`);
    const short = [entries, proofs, payloads].reduce<Member[]>(
      (all, name) =>
        replaced(
          all,
          name,
          lines((one) => one.slice(0, -2)),
        ),
      members,
    );
    expect(await problemsOf(short)).toContain('entries-missing');
  });
});

describe('a file', () => {
  it.each([0.1, 0.5, 0.99])('that ends after %f of it is no pack', async (share) => {
    const { exit, report } = await verified(pack.subarray(0, Math.floor(pack.length * share)), ...key());
    expect([exit, report.problems[0]!.kind]).toEqual([1, 'archive-truncated']);
  });

  it.each([
    ['text', Buffer.from('no archive')],
    ['a gzip of text', gzipSync('no tar')],
    ['nothing', Buffer.alloc(0)],
    ['a gzip of nothing', gzipSync('')],
  ])('that is %s is no pack', async (_what, bytes) => {
    const { exit, report } = await verified(bytes, ...key());
    expect(exit).toBe(1);
    expect(report.problems[0]!.kind).toMatch(/^archive-(truncated|malformed)$/);
  });

  it('with one bit turned anywhere is refuted', async () => {
    const plain = gunzipSync(pack);
    const headers = plain.indexOf('manifest\0') + 512;
    for (let at = 600; at < headers; at += Math.floor(headers / 40)) {
      const bytes = Buffer.from(plain);
      // Where a member is filled up with zeroes, nothing of the pack stands.
      if (bytes[at] === 0) continue;
      bytes[at]! ^= 0x04;
      const { exit } = await verified(gzipSync(bytes), ...key());
      expect([at, exit]).toEqual([at, 1]);
    }
  });

  it('that holds links, or names that lead out of it, is no pack', async () => {
    for (const name of ['../up', '/abs', 'a//b', 'a/./b', '..']) {
      const { exit, report } = await verified(
        packOf([...members.slice(0, 1), { name, bytes: Buffer.from('x') }, ...members.slice(1)]),
        ...key(),
      );
      expect([name, exit, report.problems[0]!.kind]).toEqual([name, 1, 'archive-malformed']);
    }
  });
});

const signerOf = (name: string): NoteSigner => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return { ...noteKey(name, raw), sign: (message) => sign(null, message, privateKey) };
};

describe('who made it', () => {
  it('is not believed by a key of another log', async () => {
    const { exit, report } = await verified(pack, '--key', api.trails.globex.vkey);
    expect([exit, kindsOf(report)]).toEqual([1, ['wrong-log checkpoint']]);
  });

  it('is not believed by another key of the same name', async () => {
    const other = encodeVkey(signerOf(api.trails.acme.origin));
    const { exit, report } = await verified(pack, '--key', other);
    expect([exit, kindsOf(report)]).toEqual([1, ['checkpoint-signature checkpoint']]);
  });

  it("is shown where another instance's pack is passed off as this one's", async () => {
    const other = await exported(api, { range: {} }, { instance: 'globex', role: 'auditor' });
    expect((await verified(other, '--key', api.trails.globex.vkey)).exit).toBe(0);
    const { exit, report } = await verified(other, ...key());
    expect([exit, kindsOf(report)]).toEqual([1, ['wrong-log checkpoint']]);
  });

  it('is not believed where a manifest was made anew with a key that the log does not name', async () => {
    const forger = signerOf(`${api.trails.acme.origin}/evidence`);
    const description = JSON.parse(memberNamed(members, 'pack.json').bytes.toString());
    description.evidenceKey.vkey = encodeVkey(forger);
    const altered = replaced(members, 'pack.json', () => Buffer.from(JSON.stringify(description))).filter(
      ({ name }) => name !== 'manifest',
    );
    const manifest = signNote(
      formatManifest({
        origin: description.origin,
        id: description.id,
        members: altered.map(({ name, bytes }) => memberOf(name, bytes)),
      }),
      [forger],
    );
    expect(await problemsOf([...altered, { name: 'manifest', bytes: manifest }])).toEqual([
      'manifest-key-unproven manifest',
    ]);
  });

  it('is never verified by what the pack says of itself', async () => {
    const { exit, report } = await verified(pack);
    expect([exit, report.outcome]).toEqual([3, 'unauthenticated']);
    expect(report.limits[0]).toContain('NO KEY WAS GIVEN');
  });
});

describe('a pack that is shaped as none is', () => {
  it.each([
    ['citations.json', { policySets: [null, 5, { policySet: null, publishedAt: {}, member: [] }], versions: [null] }],
    ['summary.json', null],
    ['pack.json', { format: 'trailkeeper-evidence', version: 1 }],
    ['pack.json', []],
  ])('is refuted, and the verifier stays on its feet: %s', async (name, content) => {
    const altered = replaced(members, name, () => Buffer.from(JSON.stringify(content)));
    expect(await problemsOf(altered)).toContain(`member-altered ${name}`);
  });

  it.each([
    [entries, '{"v":1,"id":"x","parts":[null,7],"emitter":{"id":{},"sequence":1},"authorization":5,"versions":"x"}'],
    [proofs, '{"index":1e300,"hashes":[1]}'],
    [proofs, '{"index":3,"hashes":[1,null,{}]}'],
    [payloads, '{"index":{},"state":{}}'],
    [payloads, '['.repeat(100_000)],
  ])('line for line, too: %s %s', async (name, line) => {
    const altered = replaced(
      members,
      name,
      lines((all) => [line, ...all.slice(1)]),
    );
    expect(await problemsOf(altered)).toContain(`member-altered ${name}`);
  });
});

describe('the command line of the verifier', () => {
  it.each([
    [['--key', 'none']],
    [['--key']],
    [['--witness', 'none']],
    [['--witnesses', 'x']],
    [['--key-file', '/absent']],
    [['--what']],
    [['another']],
  ])('refuses %j', async (argv) => {
    expect((await ran(pack, ...argv)).exit).toBe(2);
  });
});
