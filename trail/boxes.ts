/**
 * Boxes: the encrypted parts of one data key, one AES-256-GCM call each; and the documents that hold many of them, all
 * of one retention class and month. A box's key is derived from its data key and the document's random salt; a data
 * key has at most one box in a document, so no key is used twice and the nonce is constant. The additional data binds
 * format version, instance, data key and event ids. The document's directory names each box's digest, and its `_id` is
 * the digest of that: so a crashed or beaten writer's document stands in nobody's way, and one box can be taken out
 * (its bytes overwritten with zeros) while the digests still vouch for the others.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hash, randomBytes } from 'node:crypto';
import { Binary, type Collection, type MongoClient } from 'mongodb';
import type { EventId, InstanceId, SubjectId } from '../schema/ids.ts';
import { instanceDatabase, majority, recordCollection } from './database.ts';
import { TrailError } from './errors.ts';
import { deriveBoxKey } from './keys/derive.ts';

export const boxFormat = 2;

export interface BoxDocument {
  /** SHA-256 of version, `of`, `salt` and `directory`; see `boxDocumentId`. */
  _id: Binary;
  v: typeof boxFormat;
  /** Class and month of everything inside: `<class>/<yyyy-mm>`. */
  of: string;
  salt: Binary;
  /** For each box: subject, length, digest and event ids; see `readDirectory`. */
  directory: Binary;
  /** The boxes one after the other, each AES-256-GCM ciphertext and its 16-byte tag. */
  boxes: Binary;
}

/** One part on its way into a box. */
export interface SealedPart {
  readonly event: EventId;
  readonly subject: SubjectId | undefined;
  /** Position in the entry's `parts`. */
  readonly position: number;
  readonly salt: Uint8Array;
  readonly plaintext: Uint8Array;
}

export interface OpenedPart {
  readonly salt: Buffer;
  readonly plaintext: Buffer;
}

/** A box as the directory of its document names it. */
export interface ListedBox {
  readonly subject: SubjectId | undefined;
  /** Id of its data key. */
  readonly key: string;
  /** SHA-256 of ciphertext and tag. */
  readonly digest: Buffer;
  /** Its bytes in `boxes`. */
  readonly start: number;
  readonly end: number;
  /** Ids of the events whose parts are inside, 16 bytes each, in log order. */
  readonly events: Buffer;
}

const idBytes = 16;
const tagBytes = 16;
const digestBytes = 32;
/** Before each part: number of its event among those of the box (2), its position (2), salt (32), length (4). */
const frameBytes = 40;
const nonce = Buffer.alloc(12);

/** The boxes' documents of one instance. Segments stand in the same collection: see `segmentsOf`. */
export const boxesOf = (client: MongoClient, instance: InstanceId): Collection<BoxDocument> =>
  client.db(instanceDatabase(instance)).collection<BoxDocument>(recordCollection, majority);

export const framedBytes = (part: SealedPart): number => frameBytes + part.plaintext.length;

const additionalData = (instance: InstanceId, key: string, events: Uint8Array): Buffer => {
  const head = `trailkeeper/box/v2\n${instance}\n${key}\n`;
  const data = Buffer.allocUnsafe(head.length + events.length);
  data.write(head, 0, 'latin1');
  data.set(events, head.length);
  return data;
};

/** SHA-256 over `trailkeeper/boxes/v2\n`, class and month, `\n`, salt and directory. */
export const boxDocumentId = ({ of, salt, directory }: Pick<BoxDocument, 'of' | 'salt' | 'directory'>): Buffer =>
  hash(
    'sha256',
    Buffer.concat([Buffer.from(`trailkeeper/boxes/v2\n${of}\n`), salt.buffer, directory.buffer]),
    'buffer',
  );

/** The parts under one data key, in log order. */
export interface UnsealedBox {
  readonly subject: SubjectId | undefined;
  readonly dataKey: Uint8Array;
  readonly parts: readonly SealedPart[];
}

export const sealDocument = (instance: InstanceId, of: string, boxes: readonly UnsealedBox[]): BoxDocument => {
  const salt = randomBytes(32);
  const plaintexts = boxes.map(({ parts }) => parts.reduce((sum, part) => sum + framedBytes(part), 0));
  const sealed = Buffer.allocUnsafe(plaintexts.reduce((sum, bytes) => sum + bytes + tagBytes, 0));
  const directory: Buffer[] = [];
  let at = 0;
  for (const [number, { subject, dataKey, parts }] of boxes.entries()) {
    const { plaintext, events } = frame(parts, plaintexts[number]!);
    const cipher = createCipheriv('aes-256-gcm', createSecretKey(deriveBoxKey(dataKey, salt)), nonce);
    cipher.setAAD(additionalData(instance, `${of}/${subject ?? '-'}`, events));
    const start = at;
    at += cipher.update(plaintext).copy(sealed, at);
    cipher.final();
    at += cipher.getAuthTag().copy(sealed, at);
    directory.push(directoryEntry(subject, sealed.subarray(start, at), events));
  }
  const document = { of, salt: new Binary(salt), directory: new Binary(Buffer.concat(directory)) };
  return { _id: new Binary(boxDocumentId(document)), v: boxFormat, ...document, boxes: new Binary(sealed) };
};

// Scratch space is safe to share: what uses it runs to its end without giving up the thread.
const scratch = Buffer.alloc(512 * 1024);

const frame = (parts: readonly SealedPart[], sizeBytes: number): { plaintext: Buffer; events: Buffer } => {
  const plaintext = sizeBytes <= scratch.length ? scratch.subarray(0, sizeBytes) : Buffer.allocUnsafe(sizeBytes);
  const events = Buffer.allocUnsafe(parts.length * idBytes);
  let last: EventId | undefined;
  let count = 0;
  let at = 0;
  for (const { event, position, salt, plaintext: bytes } of parts) {
    if (event !== last) {
      events.write(event.replaceAll('-', ''), count * idBytes, 'hex');
      count += 1;
      last = event;
    }
    at = plaintext.writeUInt16BE(count - 1, at);
    at = plaintext.writeUInt16BE(position, at);
    plaintext.set(salt, at);
    at = plaintext.writeUInt32BE(bytes.length, at + 32);
    plaintext.set(bytes, at);
    at += bytes.length;
  }
  return { plaintext, events: events.subarray(0, count * idBytes) };
};

const directoryEntry = (subject: SubjectId | undefined, sealed: Buffer, events: Buffer): Buffer => {
  const name = subject ?? '';
  const entry = Buffer.allocUnsafe(1 + name.length + 4 + digestBytes + 2 + events.length);
  let at = entry.writeUInt8(name.length, 0);
  at += entry.write(name, at, 'latin1');
  at = entry.writeUInt32BE(sealed.length, at);
  at += entry.write(hash('sha256', sealed, 'binary'), at, 'latin1');
  at = entry.writeUInt16BE(events.length / idBytes, at);
  entry.set(events, at);
  return entry;
};

const altered = (why: string, cause?: unknown): TrailError =>
  new TrailError('LOG_INCONSISTENT', `a document of encrypted parts is not what was written: ${why}`, { cause });

/** Throws FORMAT_UNKNOWN for a document of another version, LOG_INCONSISTENT where the directory can't be taken apart. */
export const readDirectory = ({ v, of, directory, boxes }: Omit<BoxDocument, '_id'>): ListedBox[] => {
  if ((v as number) !== boxFormat)
    throw new TrailError('FORMAT_UNKNOWN', `encrypted parts are in format ${String(v)}, known is ${boxFormat}`);
  const bytes = Buffer.from(directory.buffer);
  const listed: ListedBox[] = [];
  let start = 0;
  try {
    for (let at = 0; at < bytes.length;) {
      const named = at + 1 + bytes.readUInt8(at);
      const name = bytes.toString('latin1', at + 1, named);
      const end = start + bytes.readUInt32BE(named);
      const digest = bytes.subarray(named + 4, named + 4 + digestBytes);
      const first = named + 4 + digestBytes + 2;
      at = first + idBytes * bytes.readUInt16BE(first - 2);
      if (at > bytes.length || end > boxes.length() || end - start < tagBytes)
        throw altered('its directory does not fit');
      const subject = name === '' ? undefined : (name as SubjectId);
      listed.push({ subject, key: `${of}/${name || '-'}`, digest, start, end, events: bytes.subarray(first, at) });
      start = end;
    }
  } catch (cause) {
    throw cause instanceof TrailError ? cause : altered('its directory is cut off', cause);
  }
  if (start !== boxes.length()) throw altered('it holds more than its directory names');
  return listed;
};

/** A box that is not what the directory names; `removed`: it was taken out, and its bytes are zeros. */
export interface BoxFault {
  readonly box: ListedBox;
  readonly removed: boolean;
}

/** Checks a document by its digests, which takes no key. Throws where the directory itself is not what `_id` names. */
export const boxFaults = (document: BoxDocument): BoxFault[] => {
  const listed = readDirectory(document);
  if (!boxDocumentId(document).equals(document._id.buffer))
    throw altered('its directory is not the one it is named by');
  return listed.flatMap((box): BoxFault[] => {
    const bytes = Buffer.from(document.boxes.buffer).subarray(box.start, box.end);
    if (hash('sha256', bytes, 'buffer').equals(box.digest)) return [];
    return [{ box, removed: bytes.every((byte) => byte === 0) }];
  });
};

/** `<event id>/<position>` of a part. */
export const partKey = (event: string, position: number): string => `${event}/${position}`;

/** An event id as directories have it, for look-ups: 16 bytes, each a character. */
export const packedId = (id: EventId): string => Buffer.from(id.replaceAll('-', ''), 'hex').toString('latin1');

/**
 * Opens one box and hands over the parts of the wanted events (by `packedId`), as `partKey`. Throws LOG_INCONSISTENT
 * where the box is not what was written.
 */
export const openBox = (
  instance: InstanceId,
  dataKey: Uint8Array,
  document: BoxDocument,
  box: ListedBox,
  wanted: ReadonlyMap<string, EventId>,
): Map<string, OpenedPart> => {
  const numbered = new Map<number, EventId>();
  for (let number = 0; number * idBytes < box.events.length; number += 1) {
    const id = wanted.get(box.events.toString('latin1', number * idBytes, (number + 1) * idBytes));
    if (id !== undefined) numbered.set(number, id);
  }
  const parts = new Map<string, OpenedPart>();
  if (numbered.size === 0) return parts;
  const plaintext = decrypt(instance, dataKey, document, box);
  for (let at = 0; at < plaintext.length;) {
    const end = at + frameBytes + plaintext.readUInt32BE(at + 36);
    const id = numbered.get(plaintext.readUInt16BE(at));
    if (id !== undefined) {
      const part = { salt: plaintext.subarray(at + 4, at + 36), plaintext: plaintext.subarray(at + frameBytes, end) };
      parts.set(partKey(id, plaintext.readUInt16BE(at + 2)), part);
    }
    at = end;
  }
  return parts;
};

const decrypt = (instance: InstanceId, dataKey: Uint8Array, document: BoxDocument, box: ListedBox): Buffer => {
  const sealed = document.boxes.buffer.subarray(box.start, box.end);
  try {
    const key = createSecretKey(deriveBoxKey(dataKey, document.salt.buffer));
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(additionalData(instance, box.key, box.events));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    const plaintext = decipher.update(sealed.subarray(0, -tagBytes));
    decipher.final();
    return plaintext;
  } catch (cause) {
    throw altered('a box can not be opened', cause);
  }
};
