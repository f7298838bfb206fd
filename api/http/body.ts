/**
 * Reads a request's body: never more than the limit, whether its length was announced or it comes in chunks, and only
 * UTF-8, since anything else would be recorded as something that nobody sent.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../errors.ts';

export const readBody = async (request: IncomingMessage, bytesMax: number): Promise<Buffer> => {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > bytesMax) throw tooLarge(bytesMax);
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new ApiError('BAD_INPUT', 'compressed bodies are not taken; send it without Content-Encoding');
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Leaving the loop must not cut the connection: the answer has to get through.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, sizeBytes);
  if (!isUtf8(body)) throw new ApiError('BAD_INPUT', 'the body is not UTF-8');
  return body;
};

const drainedBytesMax = 32 * 1024 * 1024;
const drainMsMax = 5000;

/**
 * Takes the rest of a body that was refused, and throws it away: a connection that is closed with unread bytes in it is
 * reset, and the client never sees why. Bounded, since nobody has to stop sending.
 */
export const drain = (request: IncomingMessage): void => {
  let sizeBytes = 0;
  const timer = setTimeout(() => request.destroy(), drainMsMax);
  timer.unref();
  request.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes > drainedBytesMax) request.destroy();
  });
  request.on('close', () => clearTimeout(timer));
  request.resume();
};

const tooLarge = (bytesMax: number): ApiError =>
  new ApiError('BODY_TOO_LARGE', `the body is larger than ${bytesMax} bytes; send fewer events at once`);
