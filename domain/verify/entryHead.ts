/**
 * What of an entry matters beyond itself: its id, instance, and place in its emitter's sequence. Looked at in its bytes,
 * which is enough for entries as we write them; whatever is written in another way is parsed, and judged then.
 */
import { isUtf8 } from 'node:buffer';
import { compileByteFit } from '../../schema/byteFit.ts';
import { entrySchema, entryVersion } from '../../schema/event.ts';
import { eventIdPattern } from '../../schema/ids.ts';
import { idWords, wordsOfId } from './eventIds.ts';

export interface EntryHead {
  /** A view that the next look changes. */
  readonly id: Uint32Array;
  readonly instance: string;
  readonly emitter: string;
  readonly sequence: number;
  /** Why it breaks the schema, where that is asked for. It is an entry all the same, so that its instance is judged first. */
  readonly breaks?: string;
}

export interface NoEntry {
  readonly reason: string;
}

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

export class EntryLook {
  readonly #schema: boolean;
  readonly #id = new Uint32Array(idWords);
  /** What was seen last is likely to be seen next. */
  #instance = '';

  /** `schema`: whether an entry has to fit all of it, or only to name format version, id, instance and emitter. */
  constructor(schema: boolean) {
    this.#schema = schema;
  }

  look(bytes: Buffer): EntryHead | NoEntry {
    return byteFit.fits(bytes) ? this.#head(bytes) : this.#parsed(bytes);
  }

  #head(bytes: Buffer): EntryHead {
    const { spans } = byteFit;
    const id = this.#id;
    const first = spans[idAt]! + 1;
    for (let word = 0, digit = 0; word < idWords; word += 1) {
      let value = 0;
      for (const end = digit + 8; digit < end; digit += 1)
        value = (value << 4) | hexValue[bytes[first + digitsOfId[digit]!]!]!;
      id[word] = value;
    }
    let sequence = 0;
    for (let at = spans[sequenceAt]!; at < spans[sequenceAt + 1]!; at += 1)
      sequence = sequence * 10 + bytes[at]! - 0x30;
    const instance = bytes.toString('latin1', spans[instanceAt]! + 1, spans[instanceAt + 1]! - 1);
    if (instance !== this.#instance) this.#instance = instance;
    const emitter = bytes.toString('latin1', spans[emitterAt]! + 1, spans[emitterAt + 1]! - 1);
    return { id, instance: this.#instance, emitter, sequence };
  }

  #parsed(bytes: Buffer): EntryHead | NoEntry {
    if (!isUtf8(bytes)) return { reason: 'it is not UTF-8' };
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8'));
    } catch {
      // The parser's own message quotes the entry.
      return { reason: 'it is not JSON' };
    }
    if (typeof value !== 'object' || value === null) return { reason: 'it is not a JSON object' };
    const { v, id, instance, emitter } = value as Parsed;
    if (v !== entryVersion) return { reason: `its format version is not ${entryVersion}` };
    if (typeof id !== 'string' || !eventIdPattern.test(id)) return { reason: 'its id is not a UUIDv7' };
    if (typeof instance !== 'string') return { reason: 'it names no instance' };
    if (typeof emitter?.id !== 'string' || !Number.isSafeInteger(emitter.sequence))
      return { reason: 'it names no emitter' };
    wordsOfId(id, this.#id);
    const head = { id: this.#id, instance, emitter: emitter.id, sequence: emitter.sequence as number };
    const issue = this.#schema ? entrySchema.safeParse(value).error?.issues[0] : undefined;
    // Only the place and the kind of the fault: messages may quote values.
    return issue ? { ...head, breaks: `it breaks the schema at "${issue.path.join('.')}" (${issue.code})` } : head;
  }
}
