/**
 * All that verification takes from the bytes of a chunk of entries, in a form that crosses threads cheaply: their hashes, and
 * what matters of each beyond itself. Which of it is a problem, and the first one, is decided where all chunks are seen.
 */
import { entryEnds, prefixBytes } from '../tree/bundle.ts';
import { hashBytes, leafHashInto, perfectRoot } from '../tree/hash.ts';
import { tileWidth } from '../tree/tiles.ts';
import type { SeenEntry } from './entryCheck.ts';
import { EntryLook } from './entryHead.ts';
import { idWords } from './eventIds.ts';

export interface EntryFacts {
  /** Entries in the bundle, as far as it can be taken apart. */
  readonly count: number;
  /** Why it can't be taken apart any further. */
  readonly malformed: string | undefined;
  /** Leaf hashes, 32 bytes each. */
  readonly leaves: Uint8Array;
  /** Root of each whole tile of level 0 among the entries, in order, the first being that of the tile `firstTile`. */
  readonly roots: Uint8Array;
  readonly firstTile: number;
  /** Entries looked at: all, or those up to the first that is none, which is not counted, or that breaks the schema. */
  readonly looked: number;
  /** Of the entry after those that were looked at. */
  readonly unparseable: string | undefined;
  /** Of the last one that was looked at. */
  readonly breaks: string | undefined;
  readonly ids: Uint32Array;
  readonly sequences: Float64Array;
  /** Names, and for each entry which of them. */
  readonly emitters: readonly string[];
  readonly emitterOf: Uint32Array;
  readonly instances: readonly string[];
  readonly instanceOf: Uint32Array;
}

export interface FactOptions {
  /** Look at each entry against the whole schema. */
  readonly schema: boolean;
}

/** Names as numbers, in the order in which they come. */
class Names {
  readonly all: string[] = [];
  readonly #numbers = new Map<string, number>();

  numberOf(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.all.push(name) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }
}

/** Root of each whole tile among the leaves that begin at `firstIndex`. */
const tileRoots = (leaves: Buffer, firstIndex: number): Pick<EntryFacts, 'roots' | 'firstTile'> => {
  const firstTile = Math.ceil(firstIndex / tileWidth);
  const skipped = firstTile * tileWidth - firstIndex;
  const count = Math.max(0, Math.floor((leaves.length / hashBytes - skipped) / tileWidth));
  const roots = new Uint8Array(count * hashBytes);
  for (let tile = 0; tile < count; tile += 1) {
    const at = (skipped + tile * tileWidth) * hashBytes;
    roots.set(perfectRoot(leaves.subarray(at, at + tileWidth * hashBytes)), tile * hashBytes);
  }
  return { roots, firstTile };
};

export class FactFinder {
  readonly #look: EntryLook;

  constructor({ schema }: FactOptions) {
    this.#look = new EntryLook(schema);
  }

  /** `firstIndex`: of the first entry, in the log. */
  find(bundle: Uint8Array, firstIndex: number): EntryFacts {
    const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.length);
    const { ends, fault } = entryEnds(bytes);
    const count = ends.length;
    const leaves = Buffer.from(new ArrayBuffer(count * hashBytes));
    const ids = new Uint32Array(count * idWords);
    const sequences = new Float64Array(count);
    const emitterOf = new Uint32Array(count);
    const instanceOf = new Uint32Array(count);
    const emitters = new Names();
    const instances = new Names();
    const look = this.#look;
    let looked = 0;
    let unparseable: string | undefined;
    let breaks: string | undefined;
    for (let i = 0, from = prefixBytes; i < count; from = ends[i]! + prefixBytes, i += 1) {
      const to = ends[i]!;
      leafHashInto(bytes.subarray(from, to), leaves, i * hashBytes);
      // All of them are hashed; after the first problem, no more is known of them.
      if (unparseable !== undefined || breaks !== undefined) continue;
      unparseable = look.look(bytes, from, to, ids, i * idWords);
      if (unparseable !== undefined) continue;
      sequences[i] = look.sequence;
      emitterOf[i] = emitters.numberOf(look.emitter);
      instanceOf[i] = instances.numberOf(look.instance);
      breaks = look.breaks;
      looked += 1;
    }
    return {
      count,
      malformed: fault?.reason,
      leaves,
      ...tileRoots(leaves, firstIndex),
      looked,
      unparseable,
      breaks,
      ids,
      sequences,
      emitters: emitters.all,
      emitterOf,
      instances: instances.all,
      instanceOf,
    };
  }
}

/** What was seen of one entry after the other; the same object for each. Its id begins at word `idWords * place`. */
export class FactsReader implements SeenEntry {
  readonly #facts: EntryFacts;
  instance = '';
  emitter = '';
  sequence = 0;
  breaks: string | undefined;

  constructor(facts: EntryFacts) {
    this.#facts = facts;
  }

  /** Goes to the entry at `place`, which must have been looked at. */
  at(place: number): this {
    const { instances, instanceOf, emitters, emitterOf, sequences, breaks, looked } = this.#facts;
    this.instance = instances[instanceOf[place]!]!;
    this.emitter = emitters[emitterOf[place]!]!;
    this.sequence = sequences[place]!;
    this.breaks = place === looked - 1 ? breaks : undefined;
    return this;
  }
}

/** Memory that a thread gives away with its facts. */
export const transferOf = ({ leaves, roots, ids, sequences, emitterOf, instanceOf }: EntryFacts): ArrayBuffer[] =>
  [leaves, roots, ids, sequences, emitterOf, instanceOf].map(({ buffer }) => buffer as ArrayBuffer);
