import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { inclusionProof } from '../../domain/tree/proof.ts';
import { formatTlogProof, parseTlogProof, verifyTlogProof } from '../../domain/tree/tlogProof.ts';
import { numberedEntries, referenceRoot } from './reference.ts';
import { StoredTree } from './storedTree.ts';
import { testSigner } from './testSigner.ts';

const origin = 'log.example/4f1c';
const signer = testSigner(origin, Buffer.alloc(32, 1));
const entries = numberedEntries(11);
const tree = new StoredTree(entries);
const checkpoint = signCheckpoint({ origin, size: 11, root: referenceRoot(entries) }, [signer]);
const log = { keys: [signer], origin };
const code = (expected: string) => expect.objectContaining({ code: expected });
const proofOf = async (index: number) => ({ index, hashes: await inclusionProof(index, 11, tree.subtree), checkpoint });

describe('offline proofs', () => {
  it('have the form of c2sp.org/tlog-proof@v1', async () => {
    const proof = await proofOf(9);
    const hashes = proof.hashes.map((hash) => `${hash.toString('base64')}\n`).join('');
    expect(formatTlogProof(proof).toString()).toBe(
      `c2sp.org/tlog-proof@v1\nindex 9\n${hashes}\n${checkpoint.toString()}`,
    );
    expect(formatTlogProof({ ...proof, extra: Buffer.from('more') }).toString()).toBe(
      `c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 9\n${hashes}\n${checkpoint.toString()}`,
    );
  });

  it('verify for every entry after being written and read', async () => {
    for (const [index, entry] of entries.entries()) {
      const proof = parseTlogProof(formatTlogProof({ ...(await proofOf(index)), extra: randomBytes(9) }));
      expect(verifyTlogProof(proof, entry, log)).toMatchObject({ origin, size: 11 });
    }
  });

  it('need no hashes in a log of one entry', () => {
    const one = signCheckpoint({ origin, size: 1, root: referenceRoot(entries.slice(0, 1)) }, [signer]);
    const bytes = formatTlogProof({ index: 0, hashes: [], checkpoint: one });
    expect(bytes.toString().startsWith('c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example')).toBe(true);
    expect(verifyTlogProof(parseTlogProof(bytes), entries[0]!, log)).toBeDefined();
  });

  it('do not verify for another entry, index or key', async () => {
    const proof = await proofOf(9);
    expect(verifyTlogProof(proof, entries[8]!, log)).toBeUndefined();
    expect(verifyTlogProof({ ...proof, index: 8 }, entries[9]!, log)).toBeUndefined();
    expect(verifyTlogProof({ ...proof, hashes: proof.hashes.toReversed() }, entries[9]!, log)).toBeUndefined();
    const stranger = testSigner(origin, Buffer.alloc(32, 2));
    expect(() => verifyTlogProof(proof, entries[9]!, { keys: [stranger], origin })).toThrow(code('NOTE_UNSIGNED'));
    expect(() => verifyTlogProof(proof, entries[9]!, { keys: [signer], origin: 'other' })).toThrow(
      code('CHECKPOINT_ORIGIN'),
    );
  });

  it.each([
    ['another version', /@v1/, '@v2'],
    ['no index', /index 9\n/, ''],
    ['a leading zero', /index 9/, 'index 09'],
    ['a negative index', /index 9/, 'index -9'],
    ['an index beyond 2^53', /index 9/, 'index 9007199254740992'],
    ['extra data after the index', /index 9\n/, 'index 9\nextra bW9yZQ==\n'],
    ['extra data that is no base64', /index 9/, 'extra b\nindex 9'],
    ['a hash in another spelling', /index 9\n./, 'index 9\n '],
    ['a hash cut short', /index 9\n..../, 'index 9\n'],
    ['no empty line', /\n\n/g, '\n'],
    ['an unknown line', /index 9\n/, 'index 9\nhello\n'],
  ])('with %s are refused', async (_, from, to) => {
    const text = formatTlogProof(await proofOf(9)).toString();
    const edited = text.replace(from, to);
    expect(edited).not.toBe(text);
    expect(() => parseTlogProof(Buffer.from(edited))).toThrow(code('PROOF_MALFORMED'));
  });

  it('with more hashes than a tree can need are refused', async () => {
    const hashes = Array.from({ length: 54 }, () => randomBytes(32));
    const bytes = formatTlogProof({ index: 9, hashes, checkpoint });
    expect(() => parseTlogProof(bytes)).toThrow('at most 53 hashes, got 54');
  });
});
