/** What an entry must be, whatever the tree says: one of ours, of this instance, with an id of its own. */
import { isUtf8 } from 'node:buffer';
import { entrySchema, entryVersion } from '../../schema/event.ts';
import { eventIdPattern } from '../../schema/ids.ts';
import { EmitterSequences } from './emitters.ts';
import { EventIds } from './eventIds.ts';
import { ProblemFound, type Warning } from './report.ts';

export interface EntryCheckOptions {
  /** Instance that all entries must name. Without it: the one that the first entry names. */
  readonly instance?: string;
  /** Check each entry against the whole schema, or only read version, id, instance and emitter. */
  readonly schema: boolean;
  /** Look for ids that were used twice. Takes about 50 bytes of memory an entry; all else is constant. */
  readonly duplicateIds: boolean;
}

interface EntryHead {
  readonly v: unknown;
  readonly id: unknown;
  readonly instance: unknown;
  readonly emitter: { readonly id?: unknown; readonly sequence?: unknown } | null | undefined;
}

function parse(bytes: Buffer, index: number): EntryHead {
  const refuse = (reason: string) => new ProblemFound({ kind: 'unparseable-entry', index, reason });
  if (!isUtf8(bytes)) throw refuse('it is not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's own message quotes the entry.
    throw refuse('it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw refuse('it is not a JSON object');
  return value as EntryHead;
}

export class EntryCheck {
  readonly #options: EntryCheckOptions;
  readonly #ids = new EventIds();
  readonly #emitters = new EmitterSequences();
  #instance: string | undefined;

  constructor(options: EntryCheckOptions) {
    this.#options = options;
    this.#instance = options.instance;
  }

  /** Throws ProblemFound at the first thing that is wrong with the entry. */
  check(bytes: Buffer, index: number): void {
    const entry = parse(bytes, index);
    const refuse = (reason: string) => new ProblemFound({ kind: 'unparseable-entry', index, reason });
    if (entry.v !== entryVersion) throw refuse(`its format version is not ${entryVersion}`);
    const { id, instance, emitter } = entry;
    if (typeof id !== 'string' || !eventIdPattern.test(id)) throw refuse('its id is not a UUIDv7');
    if (typeof instance !== 'string') throw refuse('it names no instance');
    if (typeof emitter?.id !== 'string' || !Number.isSafeInteger(emitter.sequence)) throw refuse('it names no emitter');

    this.#instance ??= instance;
    if (instance !== this.#instance) throw new ProblemFound({ kind: 'foreign-entry', index, expected: this.#instance });
    if (this.#options.schema) {
      const issue = entrySchema.safeParse(entry).error?.issues[0];
      // Only the place and the kind of the fault: messages may quote values.
      if (issue) throw refuse(`it breaks the schema at "${issue.path.join('.')}" (${issue.code})`);
    }
    if (this.#options.duplicateIds) {
      const firstSeenAt = this.#ids.add(id, index);
      if (firstSeenAt !== undefined) throw new ProblemFound({ kind: 'duplicate-id', index, id, firstSeenAt });
    }
    this.#emitters.see(emitter.id, emitter.sequence as number, index);
  }

  warnings(): Warning[] {
    return this.#emitters.warnings();
  }
}
