/** What golang.org/x/mod/sumdb made of fixed inputs; test/go/write-vectors says how to make the file again. */
import { readFileSync } from 'node:fs';

export interface SumdbVectors {
  readonly notes: readonly { name: string; seed: string; public: string; vkey: string; text: string; note: string }[];
  /** The text of the first note, signed by all keys. */
  readonly coSigned: string;
  readonly roots: Readonly<Record<string, string>>;
  readonly inclusion: readonly { from: number; size: number; hashes: string[] }[];
  readonly consistency: readonly { from: number; size: number; hashes: string[] }[];
  readonly tilesOf: number;
  readonly tiles: readonly { path: string; hex: string }[];
}

export const sumdb = JSON.parse(readFileSync(new URL('vectors/sumdb.json', import.meta.url), 'utf8')) as SumdbVectors;
