/**
 * Verification of a whole log from wherever its parts come: a downloaded folder, HTTP, the segments of the record. One
 * pass, in memory that does not grow with the log but for the ids (EntryCheckOptions). Nothing that is read is believed
 * unless it hangs from the checkpoint, whose signature is checked with a key known beforehand.
 */
import { readBundle } from '../tree/bundle.ts';
import { openCheckpoint, type Checkpoint, type OpenedCheckpoint } from '../tree/checkpoint.ts';
import { TreeError } from '../tree/errors.ts';
import { hashBytes } from '../tree/hash.ts';
import type { NoteKey } from '../tree/note.ts';
import { tileWidth } from '../tree/tiles.ts';
import { EntryCheck, type EntryCheckOptions } from './entryCheck.ts';
import { Fold } from './fold.ts';
import { LeafWindow } from './leafWindow.ts';
import { ProblemFound, type VerificationReport, type WhichCheckpoint } from './report.ts';
import { TileTree, type TileReader } from './tileTree.ts';

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
}

/** Reads the log to its end or to the first thing that is wrong. Rejects only if a source rejects. */
export async function verifyLog(sources: LogSources, options: VerifyOptions): Promise<VerificationReport> {
  const verification = new Verification(sources, options);
  try {
    const { origin, size, root } = await verification.run();
    return { outcome: 'verified', origin, size, root: root.toString('base64'), ...verification.extent() };
  } catch (error) {
    if (!(error instanceof ProblemFound)) throw error;
    const { problem } = error;
    const { entriesChecked } = verification;
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
  #next = 0;

  constructor(sources: LogSources, options: VerifyOptions) {
    this.#sources = sources;
    this.#options = options;
    this.#schema = options.schema ?? true;
    this.#check = new EntryCheck({
      schema: this.#schema,
      duplicateIds: options.duplicateIds ?? true,
      ...(options.instance !== undefined && { instance: options.instance }),
    });
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
    for await (const chunk of this.#sources.entries(checkpoint)) await this.#readChunk(chunk, size);
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

  async #readChunk(chunk: EntryChunk, size: number): Promise<void> {
    const { firstIndex, count } = chunk;
    if (firstIndex > this.#next) {
      const reason = `the entries go on at ${firstIndex}`;
      throw new ProblemFound({ kind: 'missing-entries', index: this.#next, lastIndex: firstIndex - 1, reason });
    }
    if (firstIndex < this.#next) {
      throw new ProblemFound({ kind: 'wrong-order', index: this.#next, belongsAt: firstIndex });
    }
    const { entries, fault } = readBundle(chunk.bundle);
    for (const [i, entry] of entries.entries()) {
      if (i >= count || this.#next >= size) {
        const reason = i >= count ? `${entries.length} entries where there should be ${count}` : `the log has ${size}`;
        throw new ProblemFound({ kind: 'surplus-entries', index: this.#next, reason });
      }
      if (this.#next % tileWidth === 0) await this.#beginWindow();
      const beside = chunk.leafHashes?.subarray(i * hashBytes, (i + 1) * hashBytes);
      const holds = this.#window.add(entry, beside?.length === hashBytes ? beside : undefined);
      if (!holds) throw this.#nameBadEntry(entries.length, count);
      this.#check.check(entry, this.#next);
      this.#next += 1;
      if (this.#next % tileWidth === 0 || this.#next === size) this.#endWindow();
    }
    if (fault) throw new ProblemFound({ kind: 'malformed-bundle', index: this.#next, reason: fault.reason });
    if (entries.length < count) {
      const reason = `${entries.length} entries where there should be ${count}`;
      throw new ProblemFound({ kind: 'missing-entries', index: this.#next, reason });
    }
  }

  async #beginWindow(): Promise<void> {
    const index = this.#next / tileWidth;
    const tile = this.#tilesHold ? await this.#tiles?.leafTile(index) : await this.#tiles?.unchecked(index);
    this.#tile = tile;
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
    this.#fold.appendTile(computed);
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
