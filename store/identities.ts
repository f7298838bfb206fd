/**
 * Which principal an identity of another system belongs to: one in an instance, at most. Rows are keyed like those of
 * trail/subjects.ts, HMAC(look-up secret, system, kind, original id), so that they say to nobody without the key whose
 * identity they are about.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import { canonicalIdentity } from '../domain/identity.ts';
import type { ControlChange } from '../schema/control.ts';
import { identityId, type ExternalIdentity } from '../schema/identity.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import { secretName, type Secrets } from '../trail/keys/secrets.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { changeUnlessNewer, controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';
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

interface IdentityDocument extends AppliedDocument {
  /** `<instance>/<HMAC in hex>` */
  _id: string;
  principal: string;
  mapped: boolean;
}

const identitiesOf = (client: MongoClient) => controlCollection<IdentityDocument>(client, 'identities');

/** Derived apart from the key of the subjects' map, so that rows of the two can't be put together. */
const macKey = (secret: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'trailkeeper/identity-mac/v1', 32));

const idOf = (instance: InstanceId, key: Uint8Array, identity: ExternalIdentity): string => {
  const { system, kind, id } = canonicalIdentity(identity);
  return `${instance}/${createHmac('sha256', key).update(`${system}\0${kind}\0${id}`).digest('hex')}`;
};

/** The name of an identity's row, which tells it from others without saying what it is. Makes the secret where there is none. */
export const keyedIdentity = async (
  instance: InstanceId,
  secrets: Secrets,
  identity: ExternalIdentity,
): Promise<string> => {
  const secret = (await secrets.ensure([secretName.lookup])).get(secretName.lookup)!;
  return idOf(instance, macKey(secret), identity);
};

const findMapping = async (client: MongoClient, row: string): Promise<IdentityMapping | undefined> => {
  const document = await identitiesOf(client).findOne({ _id: row });
  if (document === null) return undefined;
  const { principal, mapped, index } = document;
  return { principal: principal as PrincipalId, mapped, index };
};

/** What was last said of an identity, also where it was unmapped since. */
export const findIdentity = async (
  client: MongoClient,
  instance: InstanceId,
  secrets: Secrets,
  identity: ExternalIdentity,
): Promise<IdentityMapping | undefined> => {
  const secret = (await secrets.find([secretName.lookup])).get(secretName.lookup);
  return secret && findMapping(client, idOf(instance, macKey(secret), identity));
};

/** Each call asks MongoDB, so that what was unmapped counts no more at once. `client`, and that of `secrets`: reader duty. */
export const openIdentities = (client: MongoClient, instance: InstanceId, secrets: Secrets): Identities => {
  const principalsOf: Identities['principalsOf'] = async (identities) => {
    const secret = (await secrets.find([secretName.lookup])).get(secretName.lookup);
    // Where there is no secret, nothing was ever mapped.
    if (secret === undefined || identities.length === 0) return identities.map(() => undefined);
    const key = macKey(secret);
    const rows = identities.map((identity) => idOf(instance, key, identity));
    const documents = await identitiesOf(client)
      .find({ _id: { $in: [...new Set(rows)] }, mapped: true })
      .toArray();
    const principals = new Map(documents.map(({ _id, principal }) => [_id, principal as PrincipalId]));
    return rows.map((row) => principals.get(row));
  };
  return { principalsOf, principalOf: async (identity) => (await principalsOf([identity]))[0] };
};

type MapIdentity = Extract<ControlChange, { change: 'identity.map' }>;
type UnmapIdentity = Extract<ControlChange, { change: 'identity.unmap' }>;

const identityPart = z.strictObject({ id: identityId });

/** The row that an entry is about, or the void of one that does not say. */
const rowOf = async (applied: AppliedEntry, { system, kind }: MapIdentity | UnmapIdentity): Promise<string | Plan> => {
  const found = await applied.part('identity');
  const parsed = identityPart.safeParse(found.state === 'present' ? found.content : undefined);
  if (!parsed.success) return badPart('identity', found, '{id}, the id in the system');
  return keyedIdentity(applied.instance, applied.secrets, { system, kind, id: parsed.data.id });
};

export const planMapping = async (applied: AppliedEntry, change: MapIdentity): Promise<Plan> => {
  const { client, instance, index } = applied;
  const { system, kind, principal } = change;
  const row = await rowOf(applied, change);
  if (typeof row !== 'string') return row;
  if (!(await findPrincipal(client, instance, principal)))
    return toVoid('NOT_FOUND', `${principal} is not registered; register the principal first`);
  const present = await findMapping(client, row);
  if (present?.mapped && present.principal !== principal)
    return toVoid('CONFLICT', `this ${kind} of ${system} belongs to ${present.principal}; unmap it there first`);
  return toWrite(() => putUnlessNewer(identitiesOf(client), { _id: row, instance, index, principal, mapped: true }));
};

export const planUnmapping = async (applied: AppliedEntry, change: UnmapIdentity): Promise<Plan> => {
  const { client, index } = applied;
  const { system, kind, principal } = change;
  const row = await rowOf(applied, change);
  if (typeof row !== 'string') return row;
  const present = await findMapping(client, row);
  // With this very index it is this entry's own effect, before a crash.
  const isMapped = present !== undefined && (present.mapped || present.index === index);
  if (!isMapped || present.principal !== principal)
    return toVoid('NOT_FOUND', `this ${kind} of ${system} does not belong to ${principal}; nothing to unmap`);
  return toWrite(() => changeUnlessNewer(identitiesOf(client), row, { mapped: false, index }));
};
