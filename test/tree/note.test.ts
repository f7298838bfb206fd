import { describe, expect, it } from 'vitest';
import {
  addSignatureLines,
  encodeVkey,
  noteKey,
  noteLimits,
  openNote,
  parseNote,
  parseVkey,
  signatureLine,
  signNote,
} from '../../domain/tree/note.ts';
import { sumdb } from './sumdbVectors.ts';
import { testSigner } from './testSigner.ts';

const signers = sumdb.notes.map(({ name, seed }) => testSigner(name, Buffer.from(seed, 'hex')));
const [ours, other, third] = signers as [(typeof signers)[0], (typeof signers)[0], (typeof signers)[0]];
const text = sumdb.notes[0]!.text;
const note = signNote(text, [ours]);
const code = (expected: string) => expect.objectContaining({ code: expected });
const edited = (from: string | RegExp, to: string) => Buffer.from(note.toString().replace(from, to));

describe('verifier keys', () => {
  it('are written and read as golang.org/x/mod/sumdb/note does', () => {
    for (const { name, public: publicKey, vkey } of sumdb.notes) {
      const key = noteKey(name, Buffer.from(publicKey, 'hex'));
      expect(encodeVkey(key)).toBe(vkey);
      expect(parseVkey(vkey)).toEqual(key);
    }
  });

  it('that do not hold together are refused', () => {
    const [name, id, key] = sumdb.notes[0]!.vkey.split('+', 2).concat(
      sumdb.notes[0]!.vkey.split('+').slice(2).join('+'),
    );
    const wrong = [
      '',
      name!,
      `${name}+${id}`,
      `+${id}+${key}`,
      `${name}x+${id}+${key}`,
      `${name}+${id!.toUpperCase()}+${key}`,
      `${name}+00000000+${key}`,
      `${name}+${id}+${key!.slice(0, -4)}`,
      `${name}+${id}+${key} `,
      `na me+${id}+${key}`,
      `${name}+${id}+${Buffer.alloc(33, 4).toString('base64')}`,
    ];
    for (const vkey of wrong) expect(() => parseVkey(vkey), `key ${vkey}`).toThrow(code('KEY_MALFORMED'));
    expect(() => noteKey('has space', Buffer.alloc(32))).toThrow(code('KEY_MALFORMED'));
    expect(() => noteKey('plus+plus', Buffer.alloc(32))).toThrow(code('KEY_MALFORMED'));
    expect(() => noteKey('', Buffer.alloc(32))).toThrow(code('KEY_MALFORMED'));
    expect(() => noteKey('short', Buffer.alloc(31))).toThrow(code('KEY_MALFORMED'));
  });
});

describe('signed notes', () => {
  it('are byte for byte those of golang.org/x/mod/sumdb/note', () => {
    for (const [i, vector] of sumdb.notes.entries()) {
      expect(signNote(vector.text, [signers[i]!]).toString()).toBe(vector.note);
    }
    expect(signNote(text, signers).toString()).toBe(sumdb.coSigned);
  });

  it('open with the key that signed them', () => {
    for (const [i, vector] of sumdb.notes.entries()) {
      const opened = openNote(Buffer.from(vector.note), [signers[i]!]);
      expect(opened.text).toBe(vector.text);
      expect(opened.verified.map(({ name }) => name)).toEqual([vector.name]);
      expect(opened.unknown).toEqual([]);
    }
  });

  it('keep the signatures of unknown keys apart', () => {
    const opened = openNote(Buffer.from(sumdb.coSigned), [other]);
    expect(opened.verified.map(({ name }) => name)).toEqual([other.name]);
    expect(opened.unknown.map(({ name }) => name)).toEqual([ours.name, third.name]);
  });

  it('take cosignatures afterwards', () => {
    const cosigned = addSignatureLines(note, [signatureLine(text, other)]);
    expect(openNote(cosigned, [ours, other]).verified).toHaveLength(2);
    expect(openNote(cosigned, [ours]).unknown).toHaveLength(1);
  });

  it('count a repeated signature once', () => {
    expect(openNote(addSignatureLines(note, [signatureLine(text, ours)]), [ours]).verified).toHaveLength(1);
  });

  it('are refused without a signature by a known key', () => {
    expect(() => openNote(note, [])).toThrow(code('NOTE_UNSIGNED'));
    expect(() => openNote(note, [other])).toThrow(code('NOTE_UNSIGNED'));
    const sameName = testSigner(ours.name, Buffer.alloc(32, 9));
    expect(() => openNote(note, [sameName])).toThrow(code('NOTE_UNSIGNED'));
  });

  it('are refused when the text was altered, also if another known key vouches for it', () => {
    expect(() => openNote(edited('\n0\n', '\n1\n'), [ours])).toThrow(code('NOTE_SIGNATURE'));
    const altered = text.replace('\n0\n', '\n1\n');
    const both = Buffer.from(`${altered}\n${signatureLine(text, ours)}${signatureLine(altered, other)}`);
    expect(() => openNote(both, [ours, other])).toThrow(code('NOTE_SIGNATURE'));
    expect(openNote(both, [other]).text).toBe(altered);
  });

  it('are refused with a signature of another length under a known key', () => {
    const line = `\u2014 ${ours.name} ${Buffer.concat([keyIdOf(ours.keyId), Buffer.alloc(63)]).toString('base64')}\n`;
    expect(() => openNote(Buffer.from(`${text}\n${line}`), [ours])).toThrow(code('NOTE_SIGNATURE'));
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no signature', Buffer.from(text)],
    ['an empty signature block', Buffer.from(`${text}\n`)],
    ['no newline at the end', note.subarray(0, -1)],
    ['text after the signatures', Buffer.concat([note, Buffer.from('more\n')])],
    ['an empty line after the signatures', Buffer.concat([note, Buffer.from('\n')])],
    ['a hyphen for the dash', edited('\u2014', '-')],
    ['no space after the dash', edited('\u2014 ', '\u2014')],
    ['two spaces', edited(` ${ours.name} `, ` ${ours.name}  `)],
    ['a space at the end of a line', edited(/\n$/, ' \n')],
    ['base64 with a bit left over', edited(/ww=\n$/, 'wx=\n')],
    ['base64 without padding', edited(/=\n$/, '\n')],
    ['a signature of a key id only', edited(/ [A-Za-z0-9+/]+=*\n$/, ' 3EfUpA==\n')],
    ['a plus in a key name', edited(` ${ours.name} `, ' a+b ')],
    ['a carriage return', edited(/\n$/, '\r\n')],
    ['a tab in the text', edited('log', 'l\tog')],
    ['a byte that is no UTF-8', Buffer.concat([Buffer.from([0xff]), note])],
    ['a cut multi-byte character', Buffer.concat([Buffer.from([0xe2, 0x80]), note])],
  ])('are refused with %s', (_, bytes) => {
    expect(() => openNote(bytes, [ours])).toThrow(code('NOTE_MALFORMED'));
  });

  it('take 16 signatures and more, up to the limits', () => {
    const cosigners = Array.from({ length: 99 }, (_, i) => testSigner(`witness.example/${i}`, Buffer.alloc(32, i)));
    const lines = cosigners.map((signer) => signatureLine(text, signer));
    expect(openNote(addSignatureLines(note, lines), [ours, ...cosigners]).verified).toHaveLength(100);
    expect(() => parseNote(addSignatureLines(note, [...lines, lines[0]!]))).toThrow(code('NOTE_MALFORMED'));
    expect(() => parseNote(Buffer.alloc(noteLimits.noteBytesMax + 1, 0x61))).toThrow('at most 1048576 bytes');
  });

  it('can not be made of a text that is none, or without a signer', () => {
    expect(() => signNote('no newline', [ours])).toThrow(code('NOTE_MALFORMED'));
    expect(() => signNote('tab\t\n', [ours])).toThrow(code('NOTE_MALFORMED'));
    expect(() => signNote('\ud800\n', [ours])).toThrow(code('NOTE_MALFORMED'));
    expect(() => signNote(text, [])).toThrow(code('NOTE_UNSIGNED'));
  });
});

function keyIdOf(keyId: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(keyId);
  return bytes;
}
