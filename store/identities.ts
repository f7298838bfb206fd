/**
 * Which principal an identity of another system belongs to: one in an instance, at most. Rows are keyed like those of
 * trail/subjects.ts, so that they say to nobody without the key whose identity they are about, and hold the original id
 * under the same key, so that they can be moved to another.
 */
import { Binary, type MongoClient } from 'mongodb';
import { z } from 'zod';
import { canonicalIdentity } from '../domain/identity.ts';
import type { ControlChange } from '../schema/control.ts';
import { identityId, type ExternalIdentity } from '../schema/identity.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import { TrailError } from '../trail/errors.ts';
import { LookupKeys, type LookupKey, type LookupKeyPair, type OriginalId } from '../trail/keys/lookup.ts';
import type { Secrets } from '../trail/keys/secrets.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';
import { findPrincipal } from './principals.ts';

export interface IdentityMapping {
  readonly principal: PrincipalId;
  /** False once it was unmapped. */
  readonly mapped: boolean;
  /** Log index of the entry that made it so. */
  readonly index: number;
}

export interface Identities {
  /** The principal that an identity belongs to, undefined where it is nobody's. */
  principalOf(identity: ExternalIdentity): Promise<PrincipalId | undefined>;
  /** The same for many, in their order, in one look-up. */
  principalsOf(identities: readonly ExternalIdentity[]): Promise<(PrincipalId | undefined)[]>;
}

export interface IdentityDocument extends AppliedDocument {
  /** `<instance>/<HMAC in hex>` */
  _id: string;
  /** Epoch whose look-up key it is under. */
  lookup: number;
  /** `OriginalId`, sealed under the look-up key. */
  original: Binary;
  principal: string;
  mapped: boolean;
}

export const identitiesOf = (client: MongoClient) => controlCollection<IdentityDocument>(client, 'identities');

/** A rotation may move the look-up while a call runs; more than one at once means that something is wrong. */
const movesMax = 3;

export const identityDocument = (
  instance: InstanceId,
  key: LookupKey,
  original: OriginalId,
  { principal, mapped, index }: Pick<IdentityDocument, 'principal' | 'mapped' | 'index'>,
): IdentityDocument => {
  const _id = key.row(instance, original);
  const { system, kind, id } = original;
  const sealed = new Binary(key.seal(_id, { system, kind, id }));
  return { _id, instance, lookup: key.epoch, original: sealed, principal, mapped, index };
};

/** Undefined where the row is under another key. */
export const openIdentity = (key: LookupKey, { _id, original }: IdentityDocument): OriginalId | undefined =>
  key.open(_id, original.buffer) as OriginalId | undefined;

/** The name of an identity's row, which tells it from others without saying what it is. Makes the secret where there is none. */
export const keyedIdentity = async (
  instance: InstanceId,
  secrets: Secrets,
  identity: ExternalIdentity,
): Promise<string> => {
  const { keys } = await new LookupKeys(secrets, 'identity').ensure();
  return keys[0].row(instance, canonicalIdentity(identity));
};

/** What was last said of each identity, in their order. Once more where the look-up moved meanwhile. */
const findMappings = async (
  client: MongoClient,
  instance: InstanceId,
  lookup: LookupKeys,
  identities: readonly ExternalIdentity[],
): Promise<(IdentityMapping | undefined)[]> => {
  for (let move = 1; ; move += 1) {
    const got = await lookup.find();
    const found = await mappingsUnder(client, instance, got.keys, identities);
    if (!found.includes(undefined) || !(await lookup.moved(got))) return found;
    if (move === movesMax)
      throw new TrailError('TRAIL_UNAVAILABLE', 'the look-up of identities is being moved; try again');
  }
};

const mappingsUnder = async (
  client: MongoClient,
  instance: InstanceId,
  keys: LookupKeyPair | undefined,
  identities: readonly ExternalIdentity[],
): Promise<(IdentityMapping | undefined)[]> => {
  // Where there is no key, nothing was ever mapped.
  if (!keys) return identities.map(() => undefined);
  const rows = identities.map((identity) => keys.map((key) => key.row(instance, canonicalIdentity(identity))));
  const documents = await identitiesOf(client)
    .find({ _id: { $in: [...new Set(rows.flat())] } })
    .toArray();
  const found = new Map(documents.map((document) => [document._id, document]));
  return rows.map((own) => {
    // Under both keys while it is moved: what was said last.
    const [newest] = own.flatMap((row) => found.get(row) ?? []).toSorted((a, b) => b.index - a.index);
    return newest && { principal: newest.principal as PrincipalId, mapped: newest.mapped, index: newest.index };
  });
};

/** What was last said of an identity, also where it was unmapped since. */
export const findIdentity = async (
  client: MongoClient,
  instance: InstanceId,
  secrets: Secrets,
  identity: ExternalIdentity,
): Promise<IdentityMapping | undefined> =>
  (await findMappings(client, instance, new LookupKeys(secrets, 'identity'), [identity]))[0];

/** Each call asks MongoDB, so that what was unmapped counts no more at once. `client`, and that of `secrets`: reader duty. */
export const openIdentities = (client: MongoClient, instance: InstanceId, secrets: Secrets): Identities => {
  const lookup = new LookupKeys(secrets, 'identity');
  const principalsOf: Identities['principalsOf'] = async (identities) => {
    if (identities.length === 0) return [];
    const found = await findMappings(client, instance, lookup, identities);
    return found.map((mapping) => (mapping?.mapped ? mapping.principal : undefined));
  };
  return { principalsOf, principalOf: async (identity) => (await principalsOf([identity]))[0] };
};

type MapIdentity = Extract<ControlChange, { change: 'identity.map' }>;
type UnmapIdentity = Extract<ControlChange, { change: 'identity.unmap' }>;

const identityPart = z.strictObject({ id: identityId });

/** The identity that an entry is about, or the void of one that does not say. */
const identityOf = async (
  applied: AppliedEntry,
  { system, kind }: MapIdentity | UnmapIdentity,
): Promise<ExternalIdentity | Plan> => {
  const found = await applied.part('identity');
  const parsed = identityPart.safeParse(found.state === 'present' ? found.content : undefined);
  if (!parsed.success) return badPart('identity', found, '{id}, the id in the system');
  return { system, kind, id: parsed.data.id };
};

/** Under the current key; once more where that moved while it was written, since the rows may have been moved before. */
const put = async (
  { client, instance, index, secrets }: AppliedEntry,
  identity: ExternalIdentity,
  mapping: Pick<IdentityDocument, 'principal' | 'mapped'>,
): Promise<void> => {
  const lookup = new LookupKeys(secrets, 'identity');
  for (let move = 1; move <= movesMax; move += 1) {
    const got = await lookup.ensure();
    const document = identityDocument(instance, got.keys[0], canonicalIdentity(identity), { ...mapping, index });
    await putUnlessNewer(identitiesOf(client), document);
    if (!(await lookup.moved(got))) return;
  }
  throw new TrailError('TRAIL_UNAVAILABLE', 'the look-up of identities is being moved; try again');
};

export const planMapping = async (applied: AppliedEntry, change: MapIdentity): Promise<Plan> => {
  const { client, instance, secrets } = applied;
  const { system, kind, principal } = change;
  const identity = await identityOf(applied, change);
  if (!('system' in identity)) return identity;
  if (!(await findPrincipal(client, instance, principal)))
    return toVoid('NOT_FOUND', `${principal} is not registered; register the principal first`);
  const present = await findIdentity(client, instance, secrets, identity);
  if (present?.mapped && present.principal !== principal)
    return toVoid('CONFLICT', `this ${kind} of ${system} belongs to ${present.principal}; unmap it there first`);
  return toWrite(() => put(applied, identity, { principal, mapped: true }));
};

export const planUnmapping = async (applied: AppliedEntry, change: UnmapIdentity): Promise<Plan> => {
  const { client, instance, index, secrets } = applied;
  const { system, kind, principal } = change;
  const identity = await identityOf(applied, change);
  if (!('system' in identity)) return identity;
  const present = await findIdentity(client, instance, secrets, identity);
  // With this very index it is this entry's own effect, before a crash.
  const isMapped = present !== undefined && (present.mapped || present.index === index);
  if (!isMapped || present.principal !== principal)
    return toVoid('NOT_FOUND', `this ${kind} of ${system} does not belong to ${principal}; nothing to unmap`);
  return toWrite(() => put(applied, identity, { principal, mapped: false }));
};
