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
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, sizeBytes);
  if (!isUtf8(body)) throw new ApiError('BAD_INPUT', 'the body is not UTF-8');
  return body;
};

const tooLarge = (bytesMax: number): ApiError =>
  new ApiError('BODY_TOO_LARGE', `the body is larger than ${bytesMax} bytes; send fewer events at once`);
