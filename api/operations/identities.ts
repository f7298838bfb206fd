/** Turns the identities of other systems that events name people and agents by into the instance's own principals. */
import type { EventInput, ReportedEvent } from '../../schema/event.ts';
import type { EventId, PrincipalId } from '../../schema/ids.ts';
import type { InstanceServices } from '../context.ts';
import type { ApiErrorCode } from '../errors.ts';

export interface UnknownIdentity {
  readonly code: Extract<ApiErrorCode, 'IDENTITY_UNKNOWN'>;
  readonly message: string;
}

type Named = Required<NonNullable<EventInput['identities']>>;
type Role = keyof Named;
type Recorded = { readonly [role in Role]: PrincipalId | undefined };

/**
 * In the order of the events. What was named otherwise stays with the event as `identities`, which the log keeps
 * encrypted. An event that stands in the log already keeps the principals that it was recorded with, so that sending it
 * again is a repetition, whatever was mapped or unmapped in between.
 */
export const resolveIdentities = async (
  { identities, trail }: Pick<InstanceServices, 'identities' | 'trail'>,
  events: readonly ReportedEvent[],
): Promise<(EventInput | UnknownIdentity)[]> => {
  const named = events.map(identitiesOf);
  const asked = named.flatMap((one) => Object.values(one));
  if (asked.length === 0) return events.map((event) => event as EventInput);
  const principals = await identities.principalsOf(asked);
  const mapped = new Map(asked.map((identity, position) => [identity, principals[position]]));
  const recorded = await recordedPrincipals(
    trail,
    events.filter((_event, position) => Object.keys(named[position]!).length > 0).map(({ id }) => id),
  );
  return events.map((event, position) => {
    const own = named[position]!;
    return resolve(event, own, (role) => recorded.get(event.id)?.[role] ?? mapped.get(own[role]!));
  });
};

const identitiesOf = ({ actor, onBehalfOf }: ReportedEvent): Partial<Named> => ({
  ...('external' in actor && { actor: actor.external }),
  ...(typeof onBehalfOf === 'object' && { onBehalfOf: onBehalfOf.external }),
});

const recordedPrincipals = async (
  { reader }: InstanceServices['trail'],
  ids: readonly EventId[],
): Promise<Map<EventId, Recorded>> => {
  const found = await reader.find({ id: { $in: [...ids] } }, { limit: ids.length });
  return new Map(found.map(({ entry }) => [entry.id, { actor: entry.actor.principal, onBehalfOf: entry.onBehalfOf }]));
};

const resolve = (
  { actor, onBehalfOf, ...event }: ReportedEvent,
  identities: Partial<Named>,
  principalOf: (role: Role) => PrincipalId | undefined,
): EventInput | UnknownIdentity => {
  const principal = 'external' in actor ? principalOf('actor') : actor.principal;
  if (principal === undefined) return unknown('actor.external');
  const user = typeof onBehalfOf === 'object' ? principalOf('onBehalfOf') : onBehalfOf;
  if (user === undefined && onBehalfOf !== undefined) return unknown('onBehalfOf.external');
  const { kind, runtime } = actor;
  return {
    ...event,
    actor: { principal, kind, ...(runtime !== undefined && { runtime }) },
    ...(user !== undefined && { onBehalfOf: user }),
    ...(Object.keys(identities).length > 0 && { identities }),
  };
};

const unknown = (field: string): UnknownIdentity => ({
  code: 'IDENTITY_UNKNOWN',
  message: `${field}: no principal of this instance has this identity; have it mapped, then send the event again`,
});
