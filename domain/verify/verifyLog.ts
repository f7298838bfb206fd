/**
 * Verification of a whole log from wherever its parts come: a downloaded folder, HTTP, the segments of the record. One
 * pass, in memory that does not grow with the log but for the ids, which a store can take (EntryCheckOptions). Nothing that is read is believed
 * unless it hangs from the checkpoint, whose signature is checked with a key known beforehand.
 */
import { openCheckpoint, type Checkpoint, type OpenedCheckpoint } from '../tree/checkpoint.ts';
import { TreeError } from '../tree/errors.ts';
import { hashBytes } from '../tree/hash.ts';
import type { NoteKey } from '../tree/note.ts';
import { tileWidth } from '../tree/tiles.ts';
import { EntryCheck, type EntryCheckOptions } from './entryCheck.ts';
import { FactsReader, type EntryFacts } from './entryFacts.ts';
import { idWords } from './eventIds.ts';
import { lookHere, lookInThreads } from './factThreads.ts';
import { Fold } from './fold.ts';
import { LeafWindow } from './leafWindow.ts';
import { ProblemFound, type VerificationReport, type WhichCheckpoint } from './report.ts';
import { TileTree, type ComputedTile, type TileReader } from './tileTree.ts';

/** Consecutive entries: an entry bundle of tlog-tiles, or the entries of a segment, which have the same form. */
export interface EntryChunk {
  /** Leaf index of the first entry. */
  readonly firstIndex: number;
  /** How many entries there should be. */
  readonly count: number;
  readonly bundle: Uint8Array;
  /** Leaf hashes kept beside the entries, 32 bytes each. Not looked at where there are tiles. */
  readonly leafHashes?: Uint8Array;
}

export interface LogSources {
  /** The signed checkpoint, as served. */
  readonly checkpoint: Uint8Array;
  /** Entries from 0 up to, but without, the checkpoint's size, in order. One that is not there is left out. */
  readonly entries: (checkpoint: Checkpoint) => AsyncIterable<EntryChunk>;
  /** With tiles, an altered entry is located; without, there is only the root to say that something is wrong. */
  readonly tiles?: TileReader;
  /** Signed checkpoints kept elsewhere. Only these show that a log was rolled back or replaced. */
  readonly olderCheckpoints?: readonly Uint8Array[];
}

export interface VerifyOptions extends Partial<EntryCheckOptions> {
  /** Keys of the log, known beforehand. */
  readonly keys: readonly NoteKey[];
  readonly origin: string;
  /** In how many threads beside this one the entries of a log of that size are looked at; by default in this one. */
  readonly threads?: (size: number) => number;
}

/** For logs that are worth starting threads for, which takes some tenths of a second: as many as there are cores, within reason. */
export const threadsFor =
  (cores: number) =>
  (size: number): number =>
    size < 65_536 ? 0 : Math.min(cores, 16);

/** Reads the log to its end or to the first thing that is wrong. Rejects only if a source rejects. */
export async function verifyLog(sources: LogSources, options: VerifyOptions): Promise<VerificationReport> {
  const verification = new Verification(sources, options);
  try {
    const { origin, size, root } = await verification.run();
    return { outcome: 'verified', origin, size, root: root.toString('base64'), ...verification.extent() };
  } catch (error) {
    if (!(error instanceof ProblemFound)) throw error;
    // A repeated id that comes to light only now stands before whatever ended the verification.
    const earlier = verification.duplicate();
    const problem = earlier ?? error.problem;
    const entriesChecked = earlier?.index ?? verification.entriesChecked;
    return { outcome: 'refuted', problem, entriesChecked, ...verification.head(), ...verification.extent() };
  }
}

function open(note: Uint8Array, { keys, origin }: VerifyOptions, checkpoint: WhichCheckpoint): OpenedCheckpoint {
  try {
    return openCheckpoint(note, keys, origin);
  } catch (error) {
    if (!(error instanceof TreeError)) throw error;
    const reason = error.message;
    if (error.code === 'CHECKPOINT_ORIGIN') throw new ProblemFound({ kind: 'wrong-origin', checkpoint, reason });
    const badSignature = error.code === 'NOTE_SIGNATURE' || error.code === 'NOTE_UNSIGNED';
    throw new ProblemFound({ kind: badSignature ? 'bad-signature' : 'malformed-checkpoint', checkpoint, reason });
  }
}

class Verification {
  readonly #sources: LogSources;
  readonly #options: VerifyOptions;
  readonly #check: EntryCheck;
  readonly #window = new LeafWindow();
  readonly #schema: boolean;
  #checkpoint: Checkpoint | undefined;
  #tiles: TileTree | undefined;
  /** Whether the tiles at the right edge give the checkpoint's root. */
  #tilesHold = false;
  #fold = new Fold();
  /** The tree of the recorded leaf hashes, from the first tile on in which they differ from the entries'. */
  #recordedFold: Fold | undefined;
  #firstDifference: number | undefined;
  #pathOfDifference: string | undefined;
  #tile: { readonly path: string } | undefined;
  /** Of the window's entries, where they are a whole tile of one chunk. */
  #root: Uint8Array | undefined;
  #next = 0;

  constructor(sources: LogSources, options: VerifyOptions) {
    this.#sources = sources;
    this.#options = options;
    this.#schema = options.schema ?? true;
    this.#check = new EntryCheck({
      schema: this.#schema,
      duplicateIds: options.duplicateIds ?? true,
      ...(options.instance !== undefined && { instance: options.instance }),
      ...(options.idStore && { idStore: options.idStore }),
    });
  }

  /** Of the ids that a store kept: the first that is repeated, among the entries read. */
  duplicate() {
    return this.#check.duplicate();
  }

  get entriesChecked(): number {
    return this.#next;
  }

  /** What the checkpoint says, once it is known to be the log's own. */
  head() {
    const checkpoint = this.#checkpoint;
    return checkpoint && { ...checkpoint, root: checkpoint.root.toString('base64') };
  }

  extent() {
    return { tilesChecked: this.#tilesHold, schemaChecked: this.#schema, warnings: this.#check.warnings() };
  }

  async run(): Promise<Checkpoint> {
    const { origin, size, root } = open(this.#sources.checkpoint, this.#options, 'current');
    const checkpoint = { origin, size, root };
    this.#checkpoint = checkpoint;
    const older = (this.#sources.olderCheckpoints ?? []).map((note) => open(note, this.#options, 'older'));
    const larger = older.find((other) => other.size > size);
    if (larger) {
      const olderSize = larger.size;
      throw new ProblemFound({ kind: 'inconsistent-with-older', how: 'rollback', size, olderSize });
    }
    this.#fold = new Fold(older);
    if (this.#sources.tiles) {
      this.#tiles = new TileTree(this.#sources.tiles, size);
      this.#tilesHold = await this.#tiles.givesRoot(checkpoint);
    }
    const chunks = this.#sources.entries(checkpoint);
    const look = { schema: this.#schema };
    const threads = this.#options.threads?.(size) ?? 0;
    const looked = threads > 0 ? lookInThreads(chunks, look, threads) : lookHere(chunks, look);
    for await (const { chunk, facts } of looked) await this.#readChunk(chunk, facts, size);
    const repeated = this.duplicate();
    if (repeated) throw new ProblemFound(repeated);
    if (this.#next < size) {
      throw new ProblemFound({
        kind: 'missing-entries',
        index: this.#next,
        lastIndex: size - 1,
        reason: 'the log ends here',
      });
    }
    if (!this.#fold.root.equals(checkpoint.root)) throw this.#nameRootMismatch(checkpoint);
    const forkedFrom = this.#fold.forkedFrom;
    if (forkedFrom) {
      const olderSize = forkedFrom.size;
      throw new ProblemFound({ kind: 'inconsistent-with-older', how: 'fork', size, olderSize });
    }
    await this.#nameBadTiles();
    return checkpoint;
  }

  async #readChunk(chunk: EntryChunk, facts: EntryFacts, size: number): Promise<void> {
    const { firstIndex, count } = chunk;
    if (firstIndex > this.#next) {
      const reason = `the entries go on at ${firstIndex}`;
      throw new ProblemFound({ kind: 'missing-entries', index: this.#next, lastIndex: firstIndex - 1, reason });
    }
    if (firstIndex < this.#next) {
      throw new ProblemFound({ kind: 'wrong-order', index: this.#next, belongsAt: firstIndex });
    }
    const reader = new FactsReader(facts);
    for (let i = 0; i < facts.count; i += 1) {
      if (i >= count || this.#next >= size) {
        const reason = i >= count ? `${facts.count} entries where there should be ${count}` : `the log has ${size}`;
        throw new ProblemFound({ kind: 'surplus-entries', index: this.#next, reason });
      }
      if (this.#next % tileWidth === 0) await this.#beginWindow(computedTile(facts, i, this.#next / tileWidth));
      const beside = chunk.leafHashes?.subarray(i * hashBytes, (i + 1) * hashBytes);
      const holds = this.#window.add(facts.leaves, i, beside?.length === hashBytes ? beside : undefined);
      if (!holds) throw this.#nameBadEntry(facts.count, count);
      if (i >= facts.looked)
        throw new ProblemFound({ kind: 'unparseable-entry', index: this.#next, reason: facts.unparseable! });
      this.#check.checkSeen(reader.at(i), facts.ids, i * idWords, this.#next);
      this.#next += 1;
      if (this.#next % tileWidth === 0 || this.#next === size) this.#endWindow();
    }
    const { malformed } = facts;
    if (malformed !== undefined) {
      throw new ProblemFound({ kind: 'malformed-bundle', index: this.#next, reason: malformed });
    }
    if (facts.count < count) {
      const reason = `${facts.count} entries where there should be ${count}`;
      throw new ProblemFound({ kind: 'missing-entries', index: this.#next, reason });
    }
  }

  async #beginWindow(computed: ComputedTile | undefined): Promise<void> {
    const index = this.#next / tileWidth;
    const tile = this.#tilesHold ? await this.#tiles?.leafTile(index, computed) : await this.#tiles?.unchecked(index);
    this.#tile = tile;
    this.#root = computed?.root;
    this.#window.begin(this.#next, tile, this.#tilesHold && tile?.parentSays === undefined);
  }

  #endWindow(): void {
    const { computed, recorded, firstDifference } = this.#window;
    this.#window.judge();
    if (recorded && (this.#recordedFold || firstDifference !== undefined)) {
      this.#recordedFold ??= this.#fold.branch();
      this.#recordedFold.appendTile(recorded);
    }
    if (this.#firstDifference === undefined && firstDifference !== undefined) {
      this.#firstDifference = firstDifference;
      this.#pathOfDifference = this.#tile?.path;
    }
    this.#fold.appendTile(computed, this.#root);
  }

  /** The entry read last is not the one that the tree has at this index. */
  #nameBadEntry(found: number, count: number): ProblemFound {
    const index = this.#next;
    const belongsAt = this.#window.placeOfLast();
    const reason = `${found} entries where there should be ${count}`;
    if (found < count && belongsAt !== undefined && belongsAt > index) {
      return new ProblemFound({ kind: 'missing-entries', index, reason: `entry ${belongsAt} stands here; ${reason}` });
    }
    if (found > count) return new ProblemFound({ kind: 'surplus-entries', index, reason });
    if (belongsAt !== undefined) return new ProblemFound({ kind: 'wrong-order', index, belongsAt });
    return new ProblemFound({ kind: 'entry-altered', index });
  }

  /** All entries are there, and do not give the root. Where leaf hashes were kept that do, they show which is at fault. */
  #nameRootMismatch({ size, root }: Checkpoint): ProblemFound {
    const index = this.#firstDifference;
    if (index !== undefined && this.#recordedFold?.root.equals(root)) {
      return new ProblemFound({ kind: 'entry-altered', index });
    }
    const reason =
      index === undefined
        ? 'the entries do not give the root, and nothing at hand says which of them is at fault'
        : `the entries do not give the root; the first that is not what its leaf hash says is at ${index}, but the leaf hashes do not give the root either`;
    return new ProblemFound({ kind: 'root-mismatch', index: index ?? 0, lastIndex: Math.max(0, size - 1), reason });
  }

  /** All entries hold: if the tiles, or the leaf hashes kept beside the entries, say something else, they were altered. */
  async #nameBadTiles(): Promise<void> {
    const index = this.#firstDifference;
    const upper = this.#tiles && !this.#tilesHold ? await this.#tiles.alteredEdgeTile() : undefined;
    if (upper && (index === undefined || upper.index <= index)) {
      throw new ProblemFound({ kind: 'tile-altered', ...upper });
    }
    if (index === undefined) return;
    const path = this.#pathOfDifference;
    throw new ProblemFound(
      path === undefined ? { kind: 'leaf-hash-altered', index } : { kind: 'tile-altered', index, path },
    );
  }
}

/** The tile that begins with the entry at `place` of a chunk, where the chunk holds all of it. */
const computedTile = (facts: EntryFacts, place: number, index: number): ComputedTile | undefined => {
  const at = (index - facts.firstTile) * hashBytes;
  if (at < 0 || at >= facts.roots.length) return undefined;
  const from = place * hashBytes;
  return {
    leaves: facts.leaves.subarray(from, from + tileWidth * hashBytes),
    root: facts.roots.subarray(at, at + hashBytes),
  };
};
