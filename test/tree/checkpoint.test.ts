import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { emptyRoot } from '../../domain/tree/hash.ts';
import { signNote } from '../../domain/tree/note.ts';
import { testSigner } from './testSigner.ts';

const origin = 'log.example/4f1c';
const signer = testSigner(origin, Buffer.alloc(32, 1));
const root = randomBytes(32);
const base64 = root.toString('base64');
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('checkpoints', () => {
  it('are origin, size and root, a line each', () => {
    expect(formatCheckpoint({ origin, size: 42, root })).toBe(`${origin}\n42\n${base64}\n`);
    expect(formatCheckpoint({ origin, size: 0, root: emptyRoot })).toBe(
      `${origin}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n`,
    );
  });

  it('survive being signed, opened and read', () => {
    const opened = openCheckpoint(signCheckpoint({ origin, size: 2 ** 53 - 1, root }, [signer]), [signer], origin);
    expect(opened).toMatchObject({ origin, size: 2 ** 53 - 1, root, extensions: [], unknown: [] });
    expect(opened.verified).toHaveLength(1);
  });

  it('of equal trees are equal, byte for byte', () => {
    const checkpoint = { origin, size: 7, root };
    expect(signCheckpoint(checkpoint, [signer])).toEqual(signCheckpoint(checkpoint, [signer]));
  });

  it('of others may have extension lines', () => {
    expect(parseCheckpoint(`${origin}\n1\n${base64}\none\ntwo three\n`).extensions).toEqual(['one', 'two three']);
  });

  it.each([
    ['no newline at the end', `${origin}\n1\n${base64}`],
    ['two lines', `${origin}\n1\n`],
    ['an empty origin', `\n1\n${base64}\n`],
    ['an empty size', `${origin}\n\n${base64}\n`],
    ['a leading zero', `${origin}\n01\n${base64}\n`],
    ['a sign', `${origin}\n+1\n${base64}\n`],
    ['a negative size', `${origin}\n-1\n${base64}\n`],
    ['a size in another base', `${origin}\n0x1\n${base64}\n`],
    ['a size beyond 2^53', `${origin}\n9007199254740992\n${base64}\n`],
    ['a size with a space', `${origin}\n1 \n${base64}\n`],
    ['a root of 31 bytes', `${origin}\n1\n${root.subarray(1).toString('base64')}\n`],
    ['a root in hex', `${origin}\n1\n${root.toString('hex')}\n`],
    ['a root without padding', `${origin}\n1\n${base64.replace('=', '')}\n`],
    ['an empty extension line', `${origin}\n1\n${base64}\n\nx\n`],
    ['an empty last line', `${origin}\n1\n${base64}\n\n`],
  ])('with %s are refused', (_, text) => {
    expect(() => parseCheckpoint(text)).toThrow(code('CHECKPOINT_MALFORMED'));
  });

  it('that would not be readable are not written', () => {
    expect(() => formatCheckpoint({ origin: '', size: 1, root })).toThrow(code('CHECKPOINT_MALFORMED'));
    expect(() => formatCheckpoint({ origin: 'two\nlines', size: 1, root })).toThrow(code('CHECKPOINT_MALFORMED'));
    expect(() => formatCheckpoint({ origin, size: 1, root: root.subarray(1) })).toThrow(code('CHECKPOINT_MALFORMED'));
    expect(() => formatCheckpoint({ origin, size: -1, root })).toThrow(code('SIZE_INVALID'));
  });

  it('of another log are refused, even if the key is the same', () => {
    const note = signCheckpoint({ origin: 'log.example/other', size: 1, root }, [signer]);
    expect(() => openCheckpoint(note, [signer], origin)).toThrow(code('CHECKPOINT_ORIGIN'));
  });

  it('that are signed, but are no checkpoints, are refused', () => {
    expect(() => openCheckpoint(signNote('hello\n', [signer]), [signer], origin)).toThrow(code('CHECKPOINT_MALFORMED'));
  });
});
