/** Documents one after the other, as BSON (bsonspec.org) delimits them itself: what mongodump writes and bsondump reads. */
import { BSON } from 'mongodb';
import { altered } from './errors.ts';

export const encodeDocument = (document: object): Uint8Array => BSON.serialize(document);

/** Throws ARCHIVE_ALTERED, naming the object, where the bytes are no documents. */
export function* decodeDocuments<T>(object: string, bytes: Buffer): Generator<T> {
  for (let at = 0; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? bytes.readInt32LE(at) : 0;
    if (length < 5 || at + length > bytes.length) throw altered(object, 'a document in it is cut off');
    let document: T;
    try {
      document = BSON.deserialize(bytes.subarray(at, at + length)) as T;
    } catch (cause) {
      throw altered(object, 'a document in it is not BSON', cause);
    }
    yield document;
    at += length;
  }
}
