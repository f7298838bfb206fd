/** Who there is in an instance: people, agents and services, by opaque id. */
import type { MongoClient } from 'mongodb';
import type { ControlChange, Role, ToolScope } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import type { ActorKind } from '../schema/taxonomy.ts';
import { toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { changeUnlessNewer, controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';

export interface Principal {
  readonly principal: PrincipalId;
  readonly kind: ActorKind;
  readonly roles: readonly Role[];
  /** The person answerable for an agent or service. */
  readonly owner?: PrincipalId;
  /** What an agent is meant to do. */
  readonly declared?: readonly ToolScope[];
  readonly disabled: boolean;
  /** Log index of the entry that made it so. */
  readonly index: number;
}

interface PrincipalDocument extends AppliedDocument {
  principal: string;
  kind: ActorKind;
  roles: Role[];
  owner?: string;
  declared?: ToolScope[];
  disabled: boolean;
}

const principalsOf = (client: MongoClient) => controlCollection<PrincipalDocument>(client, 'principals');
const idOf = (instance: InstanceId, principal: string): string => `${instance}/${principal}`;

export const findPrincipal = async (
  client: MongoClient,
  instance: InstanceId,
  principal: string,
): Promise<Principal | undefined> => {
  const document = await principalsOf(client).findOne({ _id: idOf(instance, principal) });
  if (document === null) return undefined;
  const { kind, roles, owner, declared, disabled, index } = document;
  return {
    principal: document.principal as PrincipalId,
    kind,
    roles,
    ...(owner !== undefined && { owner: owner as PrincipalId }),
    ...(declared !== undefined && { declared }),
    disabled,
    index,
  };
};

type Register = Extract<ControlChange, { change: 'principal.register' }>;
type Disable = Extract<ControlChange, { change: 'principal.disable' }>;

/** Registering again replaces roles and declaration, and enables; what kind of actor it is never changes. */
export const planRegistration = async (
  { client, instance, index }: AppliedEntry,
  { principal, kind, roles, owner, declared }: Register,
): Promise<Plan> => {
  if (owner !== undefined && owner !== principal && !(await findPrincipal(client, instance, owner)))
    return toVoid('NOT_FOUND', `the owner ${owner} is not registered; register the owner first`);
  const present = await findPrincipal(client, instance, principal);
  if (present !== undefined && present.kind !== kind)
    return toVoid('CONFLICT', `${principal} is registered as ${present.kind}; register ${kind}s under another id`);
  return toWrite(() =>
    putUnlessNewer(principalsOf(client), {
      _id: idOf(instance, principal),
      instance,
      index,
      principal,
      kind,
      roles,
      ...(owner !== undefined && { owner }),
      ...(declared !== undefined && { declared }),
      disabled: false,
    }),
  );
};

export const planDisabling = async (
  { client, instance, index }: AppliedEntry,
  { principal }: Disable,
): Promise<Plan> => {
  if (!(await findPrincipal(client, instance, principal)))
    return toVoid('NOT_FOUND', `${principal} is not registered; nothing to disable`);
  return toWrite(() => changeUnlessNewer(principalsOf(client), idOf(instance, principal), { disabled: true, index }));
};
