/** Entry bundles, c2sp.org/tlog-tiles "Log entries": each entry behind its length, uint16 big-endian. */
import { TreeError } from './errors.ts';

/** Of the length before each entry. */
export const prefixBytes = 2;
export const entryBytesMax = 65_535;

/** What is wrong with a bundle, at which of its entries (from 0). */
export interface BundleFault {
  readonly position: number;
  readonly reason: string;
}

/** The entries one after the other, each behind its length. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  let sizeBytes = 0;
  for (let position = 0; position < entries.length; position += 1) {
    const { length } = entries[position]!;
    if (length > entryBytesMax)
      throw new TreeError('ENTRY_TOO_LARGE', `entry ${position} has ${length} bytes, at most ${entryBytesMax} fit`);
    sizeBytes += prefixBytes + length;
  }
  const bundle = Buffer.allocUnsafe(sizeBytes);
  let at = 0;
  for (let position = 0; position < entries.length; position += 1) {
    const entry = entries[position]!;
    bundle[at] = entry.length >> 8;
    bundle[at + 1] = entry.length;
    bundle.set(entry, at + prefixBytes);
    at += prefixBytes + entry.length;
  }
  return bundle;
}

/** Where each entry of a bundle ends, as far as it can be taken apart; it begins `prefixBytes` after the one before ends. */
export function entryEnds(bytes: Buffer): { ends: number[]; fault?: BundleFault } {
  const ends: number[] = [];
  for (let at = 0; at < bytes.length;) {
    const position = ends.length;
    if (at + prefixBytes > bytes.length) {
      return { ends, fault: { position, reason: 'the bundle ends inside a length prefix' } };
    }
    const length = bytes.readUInt16BE(at);
    at += prefixBytes;
    if (at + length > bytes.length) {
      const reason = `the entry should have ${length} bytes, the bundle ends after ${bytes.length - at}`;
      return { ends, fault: { position, reason } };
    }
    at += length;
    ends.push(at);
  }
  return { ends };
}

/** Takes a bundle apart as far as it goes. The entries are views of `bundle`, not copies. */
export function readBundle(bundle: Uint8Array): { entries: Buffer[]; fault?: BundleFault } {
  const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.length);
  const { ends, fault } = entryEnds(bytes);
  const entries = ends.map((end, i) => bytes.subarray((i === 0 ? 0 : ends[i - 1]!) + prefixBytes, end));
  return fault ? { entries, fault } : { entries };
}

/** The entries of a bundle; refuses bytes left over, and, where `count` is given, another number of entries. */
export function decodeBundle(bundle: Uint8Array, count?: number): Buffer[] {
  const { entries, fault } = readBundle(bundle);
  if (fault) throw new TreeError('BUNDLE_MALFORMED', `entry ${fault.position} of the bundle: ${fault.reason}`);
  if (count !== undefined && entries.length !== count) {
    throw new TreeError('BUNDLE_MALFORMED', `the bundle has ${entries.length} entries, not ${count}`);
  }
  return entries;
}
