/**
 * Tokens that an instance lacks, or whose secret is not known any more. A secret can't be read back, so it is handed to
 * whoever keeps it before the entry that issues it is written: a crash between the two leaves a secret without a token,
 * which the next start issues, never a token without a secret.
 */
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { findToken, newTokenSecret, tokenDigest, tokenNameOf, type TokenRecord } from '../../store/tokens.ts';
import type { WantedChange } from './change-entry.ts';
import { expiryAfter, numbered } from './missing-changes.ts';
import type { InstanceSpec, TokenSpec } from './spec.ts';

/** Secrets by the token's name in the specification. */
export type TokenSecrets = Readonly<Record<string, string>>;

export interface MissingTokens {
  readonly changes: readonly WantedChange[];
  /** All of the specification's that are made here, the new ones among them. */
  readonly secrets: TokenSecrets;
}

export const missingTokens = async (
  { tokens }: InstanceSpec,
  known: TokenSecrets,
  reader: MongoClient,
  instance: InstanceId,
  nowMs: number,
): Promise<MissingTokens> => {
  const changes: WantedChange[] = [];
  const secrets: Record<string, string> = {};
  for (const spec of tokens) {
    if (spec.sha256 !== undefined) {
      if ((await findToken(reader, instance, spec.token)) === undefined)
        changes.push(issue(spec, spec.token, spec.sha256, nowMs));
      continue;
    }
    const kept = Object.hasOwn(known, spec.token) ? known[spec.token] : undefined;
    const state = await stateOf(spec, kept, reader, instance, nowMs);
    secrets[spec.token] = state.secret;
    changes.push(...state.changes);
  }
  return { changes, secrets };
};

const stateOf = async (
  spec: TokenSpec,
  kept: string | undefined,
  reader: MongoClient,
  instance: InstanceId,
  nowMs: number,
): Promise<{ readonly secret: string; readonly changes: readonly WantedChange[] }> => {
  const issued = await issuedUnder(spec.token, reader, instance);
  const keptName = kept === undefined ? undefined : tokenNameOf(instance, kept);
  if (kept !== undefined && keptName !== undefined) {
    const record = issued.find(({ token }) => token === keptName);
    const usable = record?.sha256 === tokenDigest(kept) && !record.revoked && record.expires.getTime() > nowMs;
    if (usable) return { secret: kept, changes: [] };
    if (record === undefined && keptName === numbered(spec.token, issued.length + 1))
      return {
        secret: kept,
        changes: [...issued.flatMap(revocation), issue(spec, keptName, tokenDigest(kept), nowMs)],
      };
  }
  const name = numbered(spec.token, issued.length + 1);
  const secret = newTokenSecret(instance, name);
  return { secret, changes: [...issued.flatMap(revocation), issue(spec, name, tokenDigest(secret), nowMs)] };
};

const issuedUnder = async (base: string, reader: MongoClient, instance: InstanceId): Promise<TokenRecord[]> => {
  const issued: TokenRecord[] = [];
  for (;;) {
    const record = await findToken(reader, instance, numbered(base, issued.length + 1));
    if (record === undefined) return issued;
    issued.push(record);
  }
};

/** Nobody has the secrets of those that came before: they should open nothing. */
const revocation = ({ token, revoked }: TokenRecord): WantedChange[] =>
  revoked ? [] : [{ change: { change: 'token.revoke', token } }];

const issue = ({ principal, role, lifetimeDays }: TokenSpec, token: string, sha256: string, nowMs: number) => ({
  change: {
    change: 'token.issue' as const,
    token,
    principal,
    role,
    expires: expiryAfter(nowMs, lifetimeDays),
  },
  part: { name: 'token', content: { sha256 } },
});
