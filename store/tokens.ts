/**
 * Bearer tokens: `tk_<instance>_<token name>_<32 random bytes, base64url>`. Only the SHA-256 of the whole secret is kept;
 * the bytes are random, so nothing slower than one hash is needed against guessing.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import type { ControlChange, Role } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import type { ActorKind } from '../schema/taxonomy.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { changeUnlessNewer, controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';
import { findPrincipal } from './principals.ts';

export interface Authenticated {
  readonly instance: InstanceId;
  readonly principal: PrincipalId;
  readonly kind: ActorKind;
  readonly role: Role;
  /** Name of the token. */
  readonly token: string;
}

/**
 * `unknown`: not a token that was ever issued. `revoked`: also where its role was taken from the principal. `disabled`:
 * the principal is. Only the holder of a genuine secret learns any of the other three.
 */
export interface Refused {
  readonly refused: 'unknown' | 'expired' | 'revoked' | 'disabled';
}

/** A token as it is kept; no secret. */
export interface TokenRecord {
  readonly token: string;
  readonly principal: PrincipalId;
  readonly role: Role;
  readonly expires: Date;
  readonly revoked: boolean;
  /** Hex SHA-256 of the secret. */
  readonly sha256: string;
  readonly index: number;
}

interface TokenDocument extends AppliedDocument {
  token: string;
  principal: string;
  role: Role;
  expires: Date;
  revoked: boolean;
  sha256: string;
}

const tokensOf = (client: MongoClient) => controlCollection<TokenDocument>(client, 'tokens');
const idOf = (instance: string, token: string): string => `${instance}/${token}`;

/** A name may hold `_`, an instance may not, and the random part has a fixed length: there is one way to read it. */
const secretPattern = /^tk_([a-z][a-z0-9-]{0,39})_([A-Za-z0-9][A-Za-z0-9._-]{0,63})_[A-Za-z0-9_-]{43}$/;

/** A new secret. It is shown once; what is recorded is `tokenDigest` of it. */
export const newTokenSecret = (instance: InstanceId, token: string): string =>
  `tk_${instance}_${token}_${randomBytes(32).toString('base64url')}`;

export const tokenDigest = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** The name that a secret of this instance carries; undefined where it is none. It proves nothing. */
export const tokenNameOf = (instance: InstanceId, secret: string): string | undefined => {
  const match = secretPattern.exec(secret);
  return match?.[1] === instance ? match[2] : undefined;
};

/** Whom a secret stands for now. `client`: reader duty. */
export const authenticate = async (
  client: MongoClient,
  secret: string,
  now: Date,
): Promise<Authenticated | Refused> => {
  const match = secretPattern.exec(secret);
  if (match === null) return { refused: 'unknown' };
  const [, instance, token] = match as unknown as [string, InstanceId, string];
  const document = await tokensOf(client).findOne({ _id: idOf(instance, token) });
  const kept = document?.sha256 ?? tokenDigest('');
  if (!timingSafeEqual(Buffer.from(tokenDigest(secret), 'hex'), Buffer.from(kept, 'hex')) || document === null)
    return { refused: 'unknown' };
  if (document.revoked) return { refused: 'revoked' };
  if (document.expires <= now) return { refused: 'expired' };
  const principal = await findPrincipal(client, instance, document.principal);
  if (principal === undefined || principal.disabled) return { refused: 'disabled' };
  const { role } = document;
  if (!principal.roles.includes(role)) return { refused: 'revoked' };
  return { instance, principal: principal.principal, kind: principal.kind, role, token };
};

export const findToken = async (
  client: MongoClient,
  instance: InstanceId,
  name: string,
): Promise<TokenRecord | undefined> => {
  const document = await tokensOf(client).findOne({ _id: idOf(instance, name) });
  if (document === null) return undefined;
  const { token, principal, role, expires, revoked, sha256, index } = document;
  return { token, principal: principal as PrincipalId, role, expires, revoked, sha256, index };
};

type Issue = Extract<ControlChange, { change: 'token.issue' }>;
type Revoke = Extract<ControlChange, { change: 'token.revoke' }>;

const tokenPart = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** A name is used once, so that a revoked token can't come back to life. */
export const planIssue = async (applied: AppliedEntry, change: Issue): Promise<Plan> => {
  const { client, instance, index } = applied;
  const { token, role, expires } = change;
  const principal = await findPrincipal(client, instance, change.principal);
  if (principal === undefined || principal.disabled)
    return toVoid('NOT_FOUND', `${change.principal} is not registered or is disabled; it can get no token`);
  if (!principal.roles.includes(role))
    return toVoid('FORBIDDEN', `${change.principal} does not have the role ${role}; register it with that role first`);
  const present = await findToken(client, instance, token);
  // With this very index it is this entry's own effect, before a crash.
  if (present !== undefined && present.index !== index)
    return toVoid('CONFLICT', `a token ${token} was issued before; choose another name`);
  const found = await applied.part('token');
  const parsed = tokenPart.safeParse(found.state === 'present' ? found.content : undefined);
  if (!parsed.success) return badPart('token', found, '{sha256} of the secret');
  return toWrite(() =>
    putUnlessNewer(tokensOf(client), {
      _id: idOf(instance, token),
      instance,
      index,
      token,
      principal: principal.principal,
      role,
      expires: new Date(expires),
      revoked: false,
      sha256: parsed.data.sha256,
    }),
  );
};

export const planTokenRevocation = async (
  { client, instance, index }: AppliedEntry,
  { token }: Revoke,
): Promise<Plan> => {
  if (!(await findToken(client, instance, token)))
    return toVoid('NOT_FOUND', `there is no token ${token}; nothing to revoke`);
  return toWrite(() => changeUnlessNewer(tokensOf(client), idOf(instance, token), { revoked: true, index }));
};
