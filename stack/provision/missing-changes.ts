/**
 * What an instance lacks of its specification, as control changes in the order in which they can be applied. What is
 * there is left alone: somebody may have changed it on purpose (disabled a principal, revoked a delegation, published
 * a newer version).
 */
import type { MongoClient } from 'mongodb';
import type { ToolScope } from '../../schema/control.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { ControlState } from '../../store/control-state.ts';
import { findDelegationNamed } from '../../store/delegations.ts';
import { findIdentity, keyedIdentity } from '../../store/identities.ts';
import { policyDigest } from '../../store/policies.ts';
import { contentDigest } from '../../store/versions.ts';
import type { Secrets } from '../../trail/keys/secrets.ts';
import { dayMs, dayOf, type WantedChange } from './change-entry.ts';
import type { InstanceSpec, VersionSpec } from './spec.ts';

const mutable = (scopes: readonly ToolScope[]): ToolScope[] =>
  scopes.map(({ system, actions }) => ({ system, actions: [...actions] }));

/** `agent`, then `agent-2`, `agent-3`: names of tokens and delegations are used once. */
export const numbered = (base: string, position: number): string => (position === 1 ? base : `${base}-${position}`);

/** UTC, the same for all of one day. */
export const expiryAfter = (nowMs: number, days: number): string => new Date(dayOf(nowMs) + days * dayMs).toISOString();

export const missingPrincipals = async (spec: InstanceSpec, state: ControlState): Promise<WantedChange[]> => {
  const changes: WantedChange[] = [];
  for (const { principal, kind, roles, owner, declared } of spec.principals) {
    if (await state.principal(principal)) continue;
    changes.push({
      change: {
        change: 'principal.register',
        principal,
        kind,
        roles: [...roles],
        ...(owner !== undefined && { owner }),
        ...(declared !== undefined && { declared: mutable(declared) }),
      },
    });
  }
  return changes;
};

/** One that was unmapped, or belongs to another principal by now, is left so. */
export const missingIdentities = async (
  { identities }: InstanceSpec,
  secrets: Secrets,
  reader: MongoClient,
  instance: InstanceId,
): Promise<WantedChange[]> => {
  const changes: WantedChange[] = [];
  for (const { principal, identity } of identities) {
    if (await findIdentity(reader, instance, secrets, identity)) continue;
    const { system, kind, id } = identity;
    changes.push({
      change: { change: 'identity.map', system, kind, principal },
      part: { name: 'identity', content: { id } },
      partKey: await keyedIdentity(instance, secrets, identity),
    });
  }
  return changes;
};

/** Only where the instance has none in force. */
export const missingPolicies = async ({ policies }: InstanceSpec, state: ControlState): Promise<WantedChange[]> => {
  if (await state.policySet()) return [];
  const { name, version, text } = policies;
  return [
    {
      change: { change: 'policy.publish', policySet: name, version, digest: policyDigest(text) },
      part: { name: 'policies', content: { text } },
    },
  ];
};

/** Never one that comes before another of its name that is published already: it would come into force. */
export const missingVersions = async ({ versions }: InstanceSpec, state: ControlState): Promise<WantedChange[]> => {
  const byName = Map.groupBy(versions, ({ kind, name }) => `${kind}/${name}`);
  const changes: WantedChange[] = [];
  for (const inOrder of byName.values()) {
    const missing: VersionSpec[] = [];
    for (const wanted of inOrder.toReversed()) {
      if (await state.version(wanted.kind, wanted.name, wanted.version)) break;
      missing.unshift(wanted);
    }
    changes.push(...missing.map(publication));
  }
  return changes;
};

const publication = ({ kind, name, version, content, agent, system }: VersionSpec): WantedChange => ({
  change: {
    change: 'version.publish',
    kind,
    name,
    version,
    digest: contentDigest(content),
    ...(agent !== undefined && { agent }),
    ...(system !== undefined && { system }),
  },
  part: { name: 'content', content },
});

/** One that ran out is granted anew under the next name; one that was revoked stays revoked. */
export const missingDelegations = async (
  { delegations }: InstanceSpec,
  reader: MongoClient,
  instance: InstanceId,
  nowMs: number,
): Promise<WantedChange[]> => {
  const changes: WantedChange[] = [];
  for (const spec of delegations) {
    const delegation = await nameToGrant(spec.delegation, reader, instance, nowMs);
    if (delegation === undefined) continue;
    const { from, to, scope, lifetimeDays } = spec;
    const expires = expiryAfter(nowMs, lifetimeDays);
    changes.push({ change: { change: 'delegation.grant', delegation, from, to, scope: mutable(scope), expires } });
  }
  return changes;
};

const nameToGrant = async (
  base: string,
  reader: MongoClient,
  instance: InstanceId,
  nowMs: number,
): Promise<string | undefined> => {
  for (let position = 1; ; position += 1) {
    const name = numbered(base, position);
    const present = await findDelegationNamed(reader, instance, name);
    if (present === undefined) return name;
    if (present.revoked || present.delegation.expires.getTime() > nowMs) return undefined;
  }
};
