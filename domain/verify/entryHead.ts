/**
 * What of an entry matters beyond itself: its id, instance, and place in its emitter's sequence. Looked at in its bytes,
 * which is enough for entries as we write them; whatever is written in another way is parsed, and judged then.
 */
import { isUtf8 } from 'node:buffer';
import { compileByteFit } from '../../schema/byteFit.ts';
import { entrySchema, entryVersion } from '../../schema/event.ts';
import { eventIdPattern } from '../../schema/ids.ts';
import { idWords, wordsOfId } from './eventIds.ts';

interface Parsed {
  readonly v: unknown;
  readonly id: unknown;
  readonly instance: unknown;
  readonly emitter: { readonly id?: unknown; readonly sequence?: unknown } | null | undefined;
}

/** Places of the spans below. */
const [idAt, instanceAt, emitterAt, sequenceAt] = [0, 2, 4, 6];
const byteFit = compileByteFit(entrySchema, ['id', 'instance', 'emitter.id', 'emitter.sequence']);

const hexValue = new Uint8Array(256);
for (const [value, digit] of Array.from('0123456789abcdef').entries()) hexValue[digit.charCodeAt(0)] = value;
/** Where the hex digits of a UUID are, eight for each word. */
const digitsOfId = Array.from('xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx').flatMap((mark, place) =>
  mark === 'x' ? [place] : [],
);

/** What was seen of the entry that was looked at last: fields rather than a result, since there are millions of entries. */
export class EntryLook {
  readonly #schema: boolean;
  instance = '';
  emitter = '';
  sequence = 0;
  /** Why it breaks the schema, where that is asked for. It is an entry all the same, so that its instance is judged first. */
  breaks: string | undefined;

  /** `schema`: whether an entry has to fit all of it, or only to name format version, id, instance and emitter. */
  constructor(schema: boolean) {
    this.#schema = schema;
  }

  /**
   * Looks at the bytes from `from` up to, but without, `to`, and writes the words of the id into `ids` from `at` on. Returns
   * why it is no entry, undefined where it is one.
   */
  look(bytes: Buffer, from: number, to: number, ids: Uint32Array, at: number): string | undefined {
    this.breaks = undefined;
    if (!byteFit.fits(bytes, from, to)) return this.#parsed(bytes.subarray(from, to), ids, at);
    const { spans } = byteFit;
    const first = spans[idAt]! + 1;
    for (let word = 0, digit = 0; word < idWords; word += 1) {
      let value = 0;
      for (const end = digit + 8; digit < end; digit += 1)
        value = (value << 4) | hexValue[bytes[first + digitsOfId[digit]!]!]!;
      ids[at + word] = value;
    }
    let sequence = 0;
    for (let place = spans[sequenceAt]!; place < spans[sequenceAt + 1]!; place += 1)
      sequence = sequence * 10 + bytes[place]! - 0x30;
    this.sequence = sequence;
    this.instance = bytes.toString('latin1', spans[instanceAt]! + 1, spans[instanceAt + 1]! - 1);
    this.emitter = bytes.toString('latin1', spans[emitterAt]! + 1, spans[emitterAt + 1]! - 1);
    return undefined;
  }

  #parsed(bytes: Buffer, ids: Uint32Array, at: number): string | undefined {
    if (!isUtf8(bytes)) return 'it is not UTF-8';
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch {
      // The parser's own message quotes the entry.
      return 'it is not JSON';
    }
    if (typeof value !== 'object' || value === null) return 'it is not a JSON object';
    const { v, id, instance, emitter } = value as Parsed;
    if (v !== entryVersion) return `its format version is not ${entryVersion}`;
    if (typeof id !== 'string' || !eventIdPattern.test(id)) return 'its id is not a UUIDv7';
    if (typeof instance !== 'string') return 'it names no instance';
    if (typeof emitter?.id !== 'string' || !Number.isSafeInteger(emitter.sequence)) return 'it names no emitter';
    ids.set(wordsOfId(id), at);
    this.instance = instance;
    this.emitter = emitter.id;
    this.sequence = emitter.sequence as number;
    const issue = this.#schema ? entrySchema.safeParse(value).error?.issues[0] : undefined;
    // Only the place and the kind of the fault: messages may quote values.
    if (issue) this.breaks = `it breaks the schema at "${issue.path.join('.')}" (${issue.code})`;
    return undefined;
  }
}
