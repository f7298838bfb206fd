import { describe, expect, it } from 'vitest';
import { cosignerKey, encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { quorumIsLost, quorumProblem } from '../../domain/tree/witnessPolicy.ts';
import { witnessUrlProblem } from '../../schema/witnessUrl.ts';
import { addCheckpoint } from '../../trail/witness/client.ts';

const key = cosignerKey('witness.example/w', Buffer.alloc(32, 1));
const witness = (url: string) => ({ key, vkey: encodeCosignerVkey(key), url });
const checkpoint = Buffer.from(
  `log.example/x\n1\n${Buffer.alloc(32).toString('base64')}\n\n\u2014 log.example/x AAAAAAAA\n`,
);
const submission = { oldSize: 0, proof: [], checkpoint };

describe('the address of a witness', () => {
  it.each([
    'https://witness.example',
    'https://witness.example:8443/w/1',
    'http://127.0.0.1:7380',
    'http://localhost:7380',
    'http://[::1]:7380',
  ])('may be %s', (url) => expect(witnessUrlProblem(url)).toBeUndefined());

  it.each([
    ['http://witness.example', 'https'],
    ['http://127.0.0.2:7380', 'https'],
    ['http://127.0.0.1.example', 'https'],
    ['ftp://witness.example', 'https'],
    ['file:///etc/passwd', 'https'],
    ['https://user:secret@witness.example', 'credentials'],
    ['https://witness.example/?token=1', 'query'],
    ['https://witness.example/#x', 'fragment'],
    ['https://witness.example/', 'normal form'],
    ['https://WITNESS.example', 'normal form'],
    ['https://witness.example/a/../b', 'normal form'],
    [`https://witness.example/${'x'.repeat(200)}`, 'characters'],
    ['witness.example', 'no URL'],
  ])('may not be %s', (url, why) => {
    const problem = witnessUrlProblem(url);
    expect(problem).toContain(why);
    expect(problem).not.toContain('secret');
  });

  it.each([
    'https://169.254.169.254',
    'https://127.0.0.1:1',
    'https://localhost:1',
    'https://[::1]:1',
    'https://[::ffff:127.0.0.1]:1',
    'https://[::ffff:a9fe:a9fe]',
    'https://[fe80::1]',
    'https://0.0.0.0',
  ])('is not asked where it leads to this machine or to what is local to it: %s', async (url) => {
    const answer = await addCheckpoint(witness(url), submission, { loopback: false, timeoutMs: 2000 });
    expect(answer).toEqual({ kind: 'failed', failure: 'ADDRESS_REFUSED' });
  });

  it('is not on this machine, unless the installation allows that', async () => {
    const ask = (loopback: boolean) => addCheckpoint(witness('http://127.0.0.1:1'), submission, { loopback });
    expect(await ask(false)).toEqual({ kind: 'failed', failure: 'ADDRESS_REFUSED' });
    expect(await ask(true)).toEqual({ kind: 'failed', failure: 'UNREACHABLE' });
  });
});

describe('a quorum', () => {
  const of = (count: number, threshold: number) => ({
    witnesses: Array.from({ length: count }, (_, i) => cosignerKey(`w${i}`, Buffer.alloc(32, i))),
    threshold,
  });

  it('is between 1 and the number of witnesses, or 0 where there are none', () => {
    expect([of(0, 0), of(1, 1), of(3, 2)].map(quorumProblem)).toEqual([undefined, undefined, undefined]);
    for (const bad of [of(1, 0), of(1, 2), of(0, 1), of(3, 1.5), of(2, -1)]) expect(quorumProblem(bad)).toBeDefined();
  });

  it('counts no key twice, under whatever names', () => {
    const same = { witnesses: ['a', 'b'].map((name) => cosignerKey(name, Buffer.alloc(32, 1))), threshold: 2 };
    expect(quorumProblem(same)).toContain('twice');
  });

  it('is lost when those who contradict leave too few for it', () => {
    expect([0, 1].map((against) => quorumIsLost(of(1, 1), against))).toEqual([false, true]);
    expect([0, 1, 2].map((against) => quorumIsLost(of(3, 2), against))).toEqual([false, false, true]);
    expect(quorumIsLost(of(0, 0), 0)).toBe(false);
  });
});
