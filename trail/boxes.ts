/**
 * Boxes: the encrypted parts of one segment under one data key. A box is one AES-256-GCM call under a key derived from
 * the data key and a random salt; since no key is used twice, the nonce is constant. Its additional data binds format
 * version, instance, key and event ids; its `_id` is the SHA-256 of its ciphertext, so that a crashed or beaten
 * writer's box stands in nobody's way.
 */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto';
import { Binary } from 'mongodb';
import type { EventId, InstanceId } from '../schema/ids.ts';
import { TrailError } from './errors.ts';
import { deriveBoxKey } from './keys/derive.ts';

export interface BoxDocument {
  /** SHA-256 of `ciphertext` */
  _id: Binary;
  v: 1;
  /** Id of the data key: `<class>/<yyyy-mm>/<subject or ->`. */
  key: string;
  salt: Binary;
  /** Ids of the events whose parts are inside, 16 bytes each. */
  events: Binary;
  /** AES-256-GCM ciphertext and its 16-byte tag. */
  ciphertext: Binary;
}

/** One part on its way into a box. */
export interface SealedPart {
  readonly event: EventId;
  /** Position in the entry's `parts`. */
  readonly position: number;
  readonly salt: Uint8Array;
  readonly plaintext: Uint8Array;
}

export interface OpenedPart {
  readonly salt: Buffer;
  readonly plaintext: Buffer;
}

/** Plaintext bytes in one box; a longer list of parts goes into several boxes. */
export const boxBytesMax = 8 * 1024 * 1024 - 65_536;
const frameBytes = 16 + 2 + 32 + 4;
const nonce = Buffer.alloc(12);

const idBytes = (id: EventId): Buffer => Buffer.from(id.replaceAll('-', ''), 'hex');

const additionalData = (instance: InstanceId, key: string, events: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`trailkeeper/box/v1\n${instance}\n${key}\n`), events]);

export const sealBox = (
  instance: InstanceId,
  key: string,
  dataKey: Uint8Array,
  parts: readonly SealedPart[],
): BoxDocument => {
  const ids: Buffer[] = [];
  let last: EventId | undefined;
  const frames: Uint8Array[] = [];
  for (const part of parts) {
    const id = idBytes(part.event);
    if (part.event !== last) ids.push(id);
    last = part.event;
    const head = Buffer.allocUnsafe(frameBytes);
    head.set(id, 0);
    head.writeUInt16BE(part.position, 16);
    head.set(part.salt, 18);
    head.writeUInt32BE(part.plaintext.length, 50);
    frames.push(head, part.plaintext);
  }
  const events = Buffer.concat(ids);
  const salt = randomBytes(32);
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(deriveBoxKey(dataKey, salt)), nonce);
  cipher.setAAD(additionalData(instance, key, events));
  const ciphertext = Buffer.concat([cipher.update(Buffer.concat(frames)), cipher.final(), cipher.getAuthTag()]);
  return {
    _id: new Binary(createHash('sha256').update(ciphertext).digest()),
    v: 1,
    key,
    salt: new Binary(salt),
    events: new Binary(events),
    ciphertext: new Binary(ciphertext),
  };
};

/** Splits parts under one key into lists that each fit a box. A single part always fits. */
export const splitForBoxes = (parts: readonly SealedPart[]): SealedPart[][] => {
  const lists: SealedPart[][] = [];
  let bytes = boxBytesMax + 1;
  for (const part of parts) {
    const size = frameBytes + part.plaintext.length;
    if (bytes + size > boxBytesMax) {
      lists.push([]);
      bytes = 0;
    }
    lists.at(-1)!.push(part);
    bytes += size;
  }
  return lists;
};

/** `<event id>/<position>` of a part. */
export const partKey = (event: string, position: number): string => `${event}/${position}`;

/** Parts of a box by `partKey`. Throws LOG_INCONSISTENT where the box is not what was written. */
export const openBox = (instance: InstanceId, dataKey: Uint8Array, box: BoxDocument): Map<string, OpenedPart> => {
  const ciphertext = box.ciphertext.buffer;
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(deriveBoxKey(dataKey, box.salt.buffer)), nonce);
  decipher.setAAD(additionalData(instance, box.key, box.events.buffer));
  decipher.setAuthTag(ciphertext.subarray(-16));
  let plaintext: Buffer;
  try {
    plaintext = Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]);
  } catch (cause) {
    throw new TrailError('LOG_INCONSISTENT', 'a box of encrypted parts is not what was written', { cause });
  }
  const parts = new Map<string, OpenedPart>();
  for (let at = 0; at < plaintext.length;) {
    const hex = plaintext.toString('hex', at, at + 16);
    const event = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    const position = plaintext.readUInt16BE(at + 16);
    const salt = plaintext.subarray(at + 18, at + 50);
    const end = at + frameBytes + plaintext.readUInt32BE(at + 50);
    parts.set(partKey(event, position), { salt, plaintext: plaintext.subarray(at + frameBytes, end) });
    at = end;
  }
  return parts;
};
