/**
 * Ids that were used twice, in memory that does not grow with the log: the ids are dealt out to partitions by their hash,
 * equal ones to the same, and written away block by block; at the end each partition by itself is small enough to look
 * through. So a repetition is known at the end only, and not as the entry is read.
 */
import { EventIds, idOfWords, idWords } from './eventIds.ts';

/** Where blocks of bytes are put for the time of one verification. */
export interface BlockStore {
  /** Random: otherwise whoever made the log could choose ids that all go to one partition. */
  readonly seed: number;
  /** Copies the block, and returns where it is. */
  write(block: Uint8Array): number;
  read(position: number, sizeBytes: number): Uint8Array;
}

export interface DuplicateId {
  readonly id: string;
  readonly index: number;
  readonly firstSeenAt: number;
}

const partitions = 256;
/** Of 24 bytes each: four words of id, and the index. */
const blockRecords = 170;
const recordWords = idWords + 2;
const recordDoubles = recordWords / 2;

interface Partition {
  /** Two views of the block that fills. */
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  count: number;
  readonly written: number[];
}

const emptyPartition = (): Partition => {
  const doubles = new Float64Array(blockRecords * recordDoubles);
  return { doubles, words: new Uint32Array(doubles.buffer), count: 0, written: [] };
};

export class SpilledIds {
  readonly #store: BlockStore;
  readonly #partitions = Array.from({ length: partitions }, emptyPartition);

  constructor(store: BlockStore) {
    this.#store = store;
  }

  /** The indexes must ascend. */
  addWords(words: Uint32Array, at: number, index: number): void {
    const mixed = Math.imul(words[at + 2]! ^ this.#store.seed, 0x9e3779b1) ^ Math.imul(words[at + 3]!, 0x85ebca6b);
    const partition = this.#partitions[Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) >>> 24]!;
    const { words: block, doubles } = partition;
    const record = partition.count;
    for (let i = 0; i < idWords; i += 1) block[record * recordWords + i] = words[at + i]!;
    doubles[record * recordDoubles + 2] = index;
    partition.count += 1;
    if (partition.count < blockRecords) return;
    partition.written.push(this.#store.write(new Uint8Array(doubles.buffer)));
    partition.count = 0;
  }

  /** The first index at which an id stands that was used before. */
  firstDuplicate(): DuplicateId | undefined {
    let first: DuplicateId | undefined;
    for (const partition of this.#partitions) {
      const found = this.#firstIn(partition);
      if (found && (!first || found.index < first.index)) first = found;
    }
    return first;
  }

  #firstIn({ words, doubles, count, written }: Partition): DuplicateId | undefined {
    const ids = new EventIds();
    const sizeBytes = doubles.byteLength;
    for (const position of written) {
      // Copied, since what was read may begin anywhere in its buffer.
      const block = new Uint8Array(this.#store.read(position, sizeBytes)).buffer;
      const found = firstIn(ids, new Uint32Array(block), new Float64Array(block), blockRecords);
      if (found) return found;
    }
    return firstIn(ids, words, doubles, count);
  }
}

const firstIn = (ids: EventIds, words: Uint32Array, doubles: Float64Array, count: number): DuplicateId | undefined => {
  for (let record = 0; record < count; record += 1) {
    const index = doubles[record * recordDoubles + 2]!;
    const firstSeenAt = ids.addWords(words, record * recordWords, index);
    if (firstSeenAt !== undefined) return { id: idOfWords(words, record * recordWords), index, firstSeenAt };
  }
  return undefined;
};
