/**
 * Who asks: the bearer token alone says it, and with it the one instance that the request is confined to. The answer
 * is the same for every token that does not hold, so that nothing is learnt by trying.
 */
import type { IncomingMessage } from 'node:http';
import type { Authenticated, Refused } from '../../store/tokens.ts';
import type { Caller } from '../context.ts';
import { ApiError } from '../errors.ts';

export type Authenticate = (secret: string, now: Date) => Promise<Authenticated | Refused>;

const bearerPattern = /^Bearer ([\x21-\x7e]{1,512})$/i;

export const callerOf = async (request: IncomingMessage, authenticate: Authenticate, now: Date): Promise<Caller> => {
  const secret = bearerPattern.exec(request.headers.authorization ?? '')?.[1];
  if (secret === undefined)
    throw new ApiError('UNAUTHENTICATED', 'send a token of the instance as "Authorization: Bearer <token>"');
  const found = await authenticate(secret, now);
  if ('refused' in found) throw tokenRefused();
  return found;
};

/** The same for every token that does not hold, whatever the reason. */
export const tokenRefused = (): ApiError =>
  new ApiError('UNAUTHENTICATED', 'the token does not hold: it is unknown, expired, revoked or disabled');
