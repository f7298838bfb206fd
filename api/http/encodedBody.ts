/**
 * A request's body as it is streamed, decompressed where it says that it is. What comes out is bounded, and bounded by
 * what went in: a few bytes of gzip can stand for any number.
 */
import type { IncomingMessage } from 'node:http';
import { addAbortSignal, PassThrough, type Duplex } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ApiError } from '../errors.ts';

export interface EncodedBodyLimits {
  /** Of the body, decompressed. */
  readonly bytesMax: number;
  /** How many times its size a compressed body may have, decompressed; counted from the first MiB that comes out on. */
  readonly expansionMax: number;
}

const freeBytes = 1024 * 1024;
const encodings = ['identity', 'gzip'] as const;

/**
 * Reads on only as it is read. Throws ApiError UNSUPPORTED_MEDIA_TYPE at once for an encoding that is not known,
 * BODY_TOO_LARGE, and BAD_INPUT for what is not gzip; the signal's reason once it is aborted. The request itself is left
 * open, so that an answer gets through.
 */
export const encodedBody = (
  request: IncomingMessage,
  { bytesMax, expansionMax }: EncodedBodyLimits,
  signal: AbortSignal,
): AsyncIterable<Buffer> => {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (!encodings.includes(encoding as never))
    throw new ApiError('UNSUPPORTED_MEDIA_TYPE', 'Content-Encoding: send the body as it is, or as gzip');
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  let sentBytes = 0;
  if (encoding === 'gzip') request.on('data', (chunk: Buffer) => (sentBytes += chunk.length));
  const body: Duplex = request.pipe(encoding === 'gzip' ? createGunzip() : new PassThrough());
  addAbortSignal(signal, body);
  // A pipe ends with its source, but does not fail with it.
  const cut = () => body.destroy(new BodyCut());
  request.on('close', () => {
    if (!request.complete) cut();
  });
  return bounded(body, (readBytes) => {
    if (readBytes > bytesMax) throw tooLarge(bytesMax);
    if (encoding === 'gzip' && readBytes > freeBytes + sentBytes * expansionMax)
      throw new ApiError('BODY_TOO_LARGE', `the body expands to more than ${expansionMax} times its size`);
  });
};

/** The caller went away before its request was complete. */
export class BodyCut extends Error {
  override readonly name = 'BodyCut';
}

async function* bounded(body: Duplex, check: (readBytes: number) => void): AsyncGenerator<Buffer> {
  let readBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      readBytes += chunk.length;
      check(readBytes);
      yield chunk;
    }
  } catch (error) {
    // Of zlib: Z_DATA_ERROR for what is no gzip, Z_BUF_ERROR for one that ends too early.
    if (!(error instanceof Error) || !(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw new ApiError('BAD_INPUT', 'the body is not gzip, or is not complete', { cause: error });
  }
}

const tooLarge = (bytesMax: number): ApiError =>
  new ApiError('BODY_TOO_LARGE', `the body is larger than ${bytesMax} bytes; send the rest in another request`);
