/** What an instance that was asked for is to have at its beginning: the default policies, and its first members. */
import type { CreationRequest } from '../../domain/instances/request.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { InstanceSpec } from './spec.ts';

/** A first token is there to get going with: members with longer ones are registered by the admin. */
const firstTokenDays = 90;

export const newInstanceSpec = ({ members }: CreationRequest): InstanceSpec => ({
  // One principal may come in several roles.
  principals: [...Map.groupBy(members, ({ principal }) => principal)].map(([principal, same]) => ({
    principal,
    kind: same[0]!.kind,
    roles: same.map(({ role }) => role),
  })),
  identities: [],
  policies: { name: 'default', version: 1, text: defaultPolicies },
  versions: [],
  delegations: [],
  tokens: members.map(({ principal, role, tokenSha256: sha256 }) => ({
    token: role,
    principal,
    role,
    lifetimeDays: firstTokenDays,
    sha256,
  })),
  connectors: [],
});
