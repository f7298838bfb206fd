/**
 * Ways to tamper with a log folder of 3,000 entries (11 full tiles of leaves and one of 184; one tile of 11 above them),
 * and what both verifiers must make of each.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBundle, encodeBundle } from '../../domain/tree/bundle.ts';
import { signCheckpoint } from '../../domain/tree/checkpoint.ts';
import { leafHash } from '../../domain/tree/hash.ts';
import type { NoteSigner } from '../../domain/tree/note.ts';
import type { Problem } from '../../domain/verify/report.ts';
import { bytesOf, sampleEntry } from './sampleEntries.ts';
import { changeFile } from './logFolder.ts';

export const tamperedSize = 3000;

export interface Tampering {
  readonly name: string;
  readonly tamper: (folder: string, signer: NoteSigner) => void;
  /** What verifyLog reports, with the tiles at hand. */
  readonly found: Partial<Problem>;
  /** What the Go verifier says after "not verified: ". */
  readonly says: RegExp;
}

const bundle = (folder: string, path: string, change: (entries: Buffer[]) => Buffer[]): void =>
  changeFile(folder, path, (bytes) => encodeBundle(change(decodeBundle(bytes))));

const flipByte = (at: number) => (bytes: Buffer) => {
  bytes[at]! ^= 1;
  return bytes;
};

const altered = bytesOf(sampleEntry(700, { action: 'record.delete' }));
const lastBundle = 'tile/entries/011.p/184';

export const tamperings: readonly Tampering[] = [
  {
    name: 'an entry altered',
    tamper: (folder) => bundle(folder, 'tile/entries/002', (entries) => entries.with(700 - 512, altered)),
    found: { kind: 'entry-altered', index: 700 },
    says: /^index 700: entry altered: its hash is not that in the tree$/,
  },
  {
    name: 'the first entry altered',
    tamper: (folder) => bundle(folder, 'tile/entries/000', (entries) => entries.with(0, altered)),
    found: { kind: 'entry-altered', index: 0 },
    says: /^index 0: entry altered/,
  },
  {
    name: 'the last entry altered',
    tamper: (folder) => bundle(folder, lastBundle, (entries) => entries.with(183, altered)),
    found: { kind: 'entry-altered', index: 2999 },
    says: /^index 2999: entry altered/,
  },
  {
    name: 'an entry and its leaf hash altered',
    tamper: (folder) => {
      bundle(folder, 'tile/entries/002', (entries) => entries.with(700 - 512, altered));
      changeFile(folder, 'tile/0/002', (tile) => (tile.set(leafHash(altered), (700 - 512) * 32), tile));
    },
    found: { kind: 'entry-altered', index: 512, lastIndex: 767 },
    says: /^index 512 to 767: entry altered: one or more of these entries, and tile\/0\/002 with them$/,
  },
  {
    name: 'a leaf hash in a full tile altered',
    tamper: (folder) => changeFile(folder, 'tile/0/002', flipByte((700 - 512) * 32)),
    found: { kind: 'tile-altered', index: 700, path: 'tile/0/002' },
    says: /^index 700: tile altered: tile\/0\/002 is inconsistent with the checkpoint, the entry is not$/,
  },
  {
    name: 'a leaf hash in the partial tile altered',
    tamper: (folder) => changeFile(folder, 'tile/0/011.p/184', flipByte(100 * 32)),
    found: { kind: 'tile-altered', index: 2916, path: 'tile/0/011.p/184' },
    says: /^index 2916: tile altered: tile\/0\/011\.p\/184 is inconsistent with the checkpoint/,
  },
  {
    name: 'a hash in the tile above altered',
    tamper: (folder) => changeFile(folder, 'tile/1/000.p/11', flipByte(4 * 32 + 31)),
    found: { kind: 'tile-altered', index: 1024, lastIndex: 1279, path: 'tile/1/000.p/11' },
    says: /^index 1024 to 1279: tile altered: tile\/1\/000\.p\/11 is inconsistent with the checkpoint$/,
  },
  {
    name: 'a tile of leaves missing',
    tamper: (folder) => rmSync(join(folder, 'tile/0/005')),
    found: { kind: 'tile-missing', index: 1280, lastIndex: 1535, path: 'tile/0/005' },
    says: /^index 1280: tile\/0\/005 is missing$/,
  },
  {
    name: 'the partial tile missing',
    tamper: (folder) => rmSync(join(folder, 'tile/0/011.p/184')),
    found: { kind: 'tile-missing', index: 2816, lastIndex: 2999, path: 'tile/0/011.p/184' },
    says: /^index 2816: tile\/0\/011\.p\/184 is missing$/,
  },
  {
    name: 'a tile cut short',
    tamper: (folder) => changeFile(folder, 'tile/0/003', (tile) => tile.subarray(0, -32)),
    found: { kind: 'tile-malformed', index: 768, lastIndex: 1023, path: 'tile/0/003' },
    says: /^index 768: tile\/0\/003 is malformed: 8160 bytes/,
  },
  {
    name: 'an entry taken out',
    tamper: (folder) => bundle(folder, 'tile/entries/001', (entries) => entries.toSpliced(44, 1)),
    found: { kind: 'missing-entries', index: 300 },
    says: /^index 300: missing entries: entry 301 stands here, the bundle has 255 entries, not 256$/,
  },
  {
    name: 'the last entries of a bundle taken out',
    tamper: (folder) => bundle(folder, 'tile/entries/001', (entries) => entries.slice(0, 250)),
    found: { kind: 'missing-entries', index: 506 },
    says: /^index 506: missing entries: tile\/entries\/001 has 250 entries, not 256$/,
  },
  {
    name: 'a bundle missing',
    tamper: (folder) => rmSync(join(folder, 'tile/entries/004')),
    found: { kind: 'missing-entries', index: 1024, lastIndex: 1279 },
    says: /^index 1024: tile\/entries\/004 is missing$/,
  },
  {
    name: 'the last bundle missing',
    tamper: (folder) => rmSync(join(folder, lastBundle)),
    found: { kind: 'missing-entries', index: 2816, lastIndex: 2999 },
    says: /^index 2816: tile\/entries\/011\.p\/184 is missing$/,
  },
  {
    name: 'an entry put in',
    tamper: (folder) => bundle(folder, 'tile/entries/001', (entries) => entries.toSpliced(44, 0, altered)),
    found: { kind: 'surplus-entries', index: 300 },
    says: /^index 300: surplus entries: .*257 entries, not 256$/,
  },
  {
    name: 'an entry added after the last',
    tamper: (folder) => bundle(folder, lastBundle, (entries) => [...entries, altered]),
    found: { kind: 'surplus-entries', index: 3000 },
    says: /^index 3000: surplus entries: .*185 entries, not 184$/,
  },
  {
    name: 'two entries exchanged',
    tamper: (folder) =>
      bundle(folder, 'tile/entries/001', (entries) => entries.with(10, entries[20]!).with(20, entries[10]!)),
    found: { kind: 'wrong-order', index: 266, belongsAt: 276 },
    says: /^index 266: wrong order: entry 276 stands here$/,
  },
  {
    name: 'a bundle cut in the middle of an entry',
    tamper: (folder) => changeFile(folder, 'tile/entries/003', (bytes) => bytes.subarray(0, -5)),
    found: { kind: 'malformed-bundle', index: 1023 },
    says: /^index 1023: tile\/entries\/003: malformed bundle: the entry should have \d+ bytes, the bundle ends after \d+$/,
  },
  {
    name: 'bytes after a bundle',
    tamper: (folder) => changeFile(folder, 'tile/entries/003', (bytes) => Buffer.concat([bytes, Buffer.from([9])])),
    found: { kind: 'malformed-bundle', index: 1024 },
    says: /^index 1024: tile\/entries\/003: malformed bundle: it ends inside a length prefix$/,
  },
  {
    name: 'the size in the checkpoint changed',
    tamper: (folder) =>
      changeFile(folder, 'checkpoint', (note) => Buffer.from(note.toString().replace('\n3000\n', '\n2999\n'))),
    found: { kind: 'bad-signature', checkpoint: 'current' },
    says: /^checkpoint: invalid signature for key/,
  },
  {
    name: 'the checkpoint cut short',
    tamper: (folder) => changeFile(folder, 'checkpoint', (note) => note.subarray(0, 40)),
    found: { kind: 'malformed-checkpoint', checkpoint: 'current' },
    says: /^checkpoint: malformed note$/,
  },
  {
    name: 'the checkpoint of another log, signed with the same key',
    tamper: (folder, signer) =>
      changeFile(folder, 'checkpoint', () =>
        signCheckpoint({ origin: 'log.example/other', size: tamperedSize, root: Buffer.alloc(32) }, [signer]),
      ),
    found: { kind: 'wrong-origin', checkpoint: 'current' },
    says: /^checkpoint: wrong origin: it is of "log\.example\/other", not of/,
  },
  {
    name: 'a checkpoint with another root, signed with the right key',
    tamper: (folder, signer) =>
      changeFile(folder, 'checkpoint', () =>
        signCheckpoint({ origin: signer.name, size: tamperedSize, root: Buffer.alloc(32, 1) }, [signer]),
      ),
    found: { kind: 'root-mismatch', index: 0, lastIndex: 2999 },
    says: /^index 0 to 2999: root mismatch/,
  },
];
