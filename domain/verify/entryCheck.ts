/** What an entry must be, whatever the tree says: one of ours, of this instance, with an id of its own. */
import { EmitterSequences } from './emitters.ts';
import { EntryLook } from './entryHead.ts';
import { EventIds, idOfWords, idWords } from './eventIds.ts';
import { ProblemFound, type Problem, type Warning } from './report.ts';
import { SpilledIds, type BlockStore } from './spilledIds.ts';

export interface EntryCheckOptions {
  /** Instance that all entries must name. Without it: the one that the first entry names. */
  readonly instance?: string;
  /** Check each entry against the whole schema, or only read version, id, instance and emitter. */
  readonly schema: boolean;
  /**
   * Look for ids that were used twice. Takes about 50 bytes of memory an entry, unless there is a store for them; all
   * else is constant, but for the emitters.
   */
  readonly duplicateIds: boolean;
  /** Keeps the ids until the end, when the repeated ones are known. It is left to its owner to be emptied. */
  readonly idStore?: BlockStore;
}

/** What matters of an entry beyond itself, but for its id. */
export interface SeenEntry {
  readonly instance: string;
  readonly emitter: string;
  readonly sequence: number;
  /** Why it breaks the schema. */
  readonly breaks: string | undefined;
}

export class EntryCheck {
  readonly #duplicateIds: boolean;
  readonly #look: EntryLook;
  readonly #id = new Uint32Array(idWords);
  readonly #ids = new EventIds();
  readonly #spilled: SpilledIds | undefined;
  readonly #emitters = new EmitterSequences();
  #instance: string | undefined;

  constructor({ instance, schema, duplicateIds, idStore }: EntryCheckOptions) {
    this.#duplicateIds = duplicateIds;
    this.#look = new EntryLook(schema);
    this.#spilled = idStore && new SpilledIds(idStore);
    this.#instance = instance;
  }

  /** Throws ProblemFound at the first thing that is wrong with the entry. */
  check(bytes: Buffer, index: number): void {
    const look = this.#look;
    const reason = look.look(bytes, 0, bytes.length, this.#id, 0);
    if (reason !== undefined) throw new ProblemFound({ kind: 'unparseable-entry', index, reason });
    this.checkSeen(look, this.#id, 0, index);
  }

  /** The same, of an entry that was looked at already; its id begins at word `idAt` of `ids`. */
  checkSeen(seen: SeenEntry, id: Uint32Array, idAt: number, index: number): void {
    const { instance, emitter, sequence, breaks } = seen;
    this.#instance ??= instance;
    if (instance !== this.#instance) throw new ProblemFound({ kind: 'foreign-entry', index, expected: this.#instance });
    if (breaks !== undefined) throw new ProblemFound({ kind: 'unparseable-entry', index, reason: breaks });
    if (this.#duplicateIds) {
      if (this.#spilled) this.#spilled.addWords(id, idAt, index);
      else {
        const firstSeenAt = this.#ids.addWords(id, idAt, index);
        if (firstSeenAt !== undefined)
          throw new ProblemFound({ kind: 'duplicate-id', index, id: idOfWords(id, idAt), firstSeenAt });
      }
    }
    this.#emitters.see(emitter, sequence, index);
  }

  /** With a store: the first repeated id of those that were checked so far. Without one, it was thrown when it came. */
  duplicate(): Extract<Problem, { kind: 'duplicate-id' }> | undefined {
    const found = this.#spilled?.firstDuplicate();
    return found && { kind: 'duplicate-id', ...found };
  }

  warnings(): Warning[] {
    return this.#emitters.warnings();
  }
}
