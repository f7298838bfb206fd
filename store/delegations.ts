/** Who lets whom act for them, within which scope and until when. */
import type { MongoClient } from 'mongodb';
import type { ControlChange, ToolScope } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { changeUnlessNewer, controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';
import { findPrincipal } from './principals.ts';

export interface Delegation {
  readonly delegation: string;
  readonly from: PrincipalId;
  readonly to: PrincipalId;
  readonly scope: readonly ToolScope[];
  readonly expires: Date;
  readonly index: number;
}

interface DelegationDocument extends AppliedDocument {
  delegation: string;
  from: string;
  to: string;
  scope: ToolScope[];
  expires: Date;
  revoked: boolean;
}

const delegationsOf = (client: MongoClient) => controlCollection<DelegationDocument>(client, 'delegations');
const idOf = (instance: InstanceId, delegation: string): string => `${instance}/${delegation}`;

const granted = ({ delegation, from, to, scope, expires, index }: DelegationDocument): Delegation => ({
  delegation,
  from: from as PrincipalId,
  to: to as PrincipalId,
  scope,
  expires,
  index,
});

/** The newest delegation between the two that is in force at this time. */
export const findDelegation = async (
  client: MongoClient,
  instance: InstanceId,
  from: string,
  to: string,
  at: Date,
): Promise<Delegation | undefined> => {
  const document = await delegationsOf(client).findOne(
    { instance, from, to, revoked: false, expires: { $gt: at } },
    { sort: { index: -1 } },
  );
  return document === null ? undefined : granted(document);
};

/** Whatever was granted under a name, in force or not. */
export const findDelegationNamed = async (
  client: MongoClient,
  instance: InstanceId,
  name: string,
): Promise<{ readonly delegation: Delegation; readonly revoked: boolean } | undefined> => {
  const document = await delegationsOf(client).findOne({ _id: idOf(instance, name) });
  return document === null ? undefined : { delegation: granted(document), revoked: document.revoked };
};

type Grant = Extract<ControlChange, { change: 'delegation.grant' }>;
type Revoke = Extract<ControlChange, { change: 'delegation.revoke' }>;

/** A name is used once: entries cite delegations by name, and a revocation can't be undone by granting it again. */
export const planGrant = async (
  { client, instance, index }: AppliedEntry,
  { delegation, from, to, scope, expires }: Grant,
): Promise<Plan> => {
  for (const principal of [from, to])
    if (!(await findPrincipal(client, instance, principal)))
      return toVoid('NOT_FOUND', `${principal} is not registered; register both sides of a delegation first`);
  const present = await findDelegationNamed(client, instance, delegation);
  // With this very index it is this entry's own effect, before a crash.
  if (present !== undefined && present.delegation.index !== index)
    return toVoid('CONFLICT', `the delegation ${delegation} was granted before; choose another name`);
  return toWrite(() =>
    putUnlessNewer(delegationsOf(client), {
      _id: idOf(instance, delegation),
      instance,
      index,
      delegation,
      from,
      to,
      scope,
      expires: new Date(expires),
      revoked: false,
    }),
  );
};

export const planRevocation = async (
  { client, instance, index }: AppliedEntry,
  { delegation }: Revoke,
): Promise<Plan> => {
  if (!(await findDelegationNamed(client, instance, delegation)))
    return toVoid('NOT_FOUND', `there is no delegation ${delegation}; nothing to revoke`);
  return toWrite(() => changeUnlessNewer(delegationsOf(client), idOf(instance, delegation), { revoked: true, index }));
};
