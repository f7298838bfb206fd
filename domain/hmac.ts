/**
 * HMAC-SHA256 (RFC 2104) over Node's one-shot hash: two calls of 0.7 microseconds, where `createHmac` with a key object
 * takes 3 and with raw key bytes 17 (Node 24), since it sets up an object and a key for each call.
 */
import { hash } from 'node:crypto';

const blockBytes = 64;
const digestBytes = 32;

// Scratch space is safe to share: everything below runs to its end without giving up the thread.
let inner = Buffer.alloc(1024);
const outer = Buffer.alloc(blockBytes + digestBytes);

/** HMAC-SHA256 of `message`. `key`: at most 64 bytes. */
export const hmacSha256 = (key: Uint8Array, message: Uint8Array): Buffer => {
  if (key.length > blockBytes) throw new RangeError(`the key has ${key.length} bytes, at most ${blockBytes} fit`);
  const innerBytes = blockBytes + message.length;
  if (inner.length < innerBytes) inner = Buffer.alloc(2 * innerBytes);
  for (let at = 0; at < blockBytes; at += 1) {
    const byte = at < key.length ? key[at]! : 0;
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  inner.set(message, blockBytes);
  outer.write(hash('sha256', inner.subarray(0, innerBytes), 'binary'), blockBytes, 'latin1');
  const mac = Buffer.from(hash('sha256', outer, 'binary'), 'latin1');
  // What would be left of the key is overwritten; the message may be large, and was the caller's.
  inner.fill(0, 0, blockBytes);
  outer.fill(0);
  return mac;
};
