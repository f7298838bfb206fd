/** Control changes for tests. */
import type { ControlChange, Role } from '../../schema/control.ts';
import { connectionPart } from '../../store/connectors.ts';
import { policyDigest } from '../../store/policies.ts';
import { newTokenSecret, tokenDigest } from '../../store/tokens.ts';
import { contentDigest } from '../../store/versions.ts';
import { stageCredential, type CredentialContent } from '../../store/connector-credentials.ts';
import type { Part, TestControl } from './control.ts';

export type Recorded = readonly [ControlChange, Part?];

type Registration = Extract<ControlChange, { change: 'principal.register' }>;

export const person = (principal: string, roles: Role[] = [], more: Partial<Registration> = {}): Recorded => [
  { change: 'principal.register', principal, kind: 'human', roles, ...more },
];

export const agent = (principal: string, more: Partial<Registration> = {}): Recorded => [
  { change: 'principal.register', principal, kind: 'agent', roles: ['agent'], ...more },
];

export const identify = (
  change: 'identity.map' | 'identity.unmap',
  principal: string,
  id: string,
  system: 'slack' | 'gmail' | 'salesforce' = 'slack',
): Recorded => [
  { change, system, kind: 'user', principal },
  { name: 'identity', content: { id } },
];

export const tomorrow = (): string => new Date(Date.now() + 86_400_000).toISOString();
export const yesterday = (): string => new Date(Date.now() - 86_400_000).toISOString();

export const grant = (delegation: string, from: string, to: string, expires = tomorrow()): Recorded => [
  {
    change: 'delegation.grant',
    delegation,
    from,
    to,
    scope: [{ system: 'salesforce', actions: ['record.update'] }],
    expires,
  },
];

export const policies = (version: number, text: string, digest = policyDigest(text)): Recorded => [
  { change: 'policy.publish', policySet: 'default', version, digest },
  { name: 'policies', content: { text } },
];

export const mapping = (
  version: string,
  fields: Record<string, string>,
  digest = contentDigest({ fields }),
): Recorded => [
  { change: 'version.publish', kind: 'mapping', name: 'contacts', version, digest, system: 'salesforce' },
  { name: 'content', content: { fields } },
];

export const prompt = (forAgent: string, version: string, text: string): Recorded => [
  {
    change: 'version.publish',
    kind: 'prompt',
    name: forAgent,
    version,
    digest: contentDigest({ text }),
    agent: forAgent,
  },
  { name: 'content', content: { text } },
];

/** A token and its secret. */
export const token = (
  { instance }: Pick<TestControl, 'instance'>,
  name: string,
  principal: string,
  role: Role,
  expires = tomorrow(),
): { readonly secret: string; readonly issue: Recorded } => {
  const secret = newTokenSecret(instance, name);
  return {
    secret,
    issue: [
      { change: 'token.issue', token: name, principal, role, expires },
      { name: 'token', content: { sha256: tokenDigest(secret) } },
    ],
  };
};

/** Stages the credential and says how it is configured. */
export const connector = async (
  control: TestControl,
  content: CredentialContent,
  more: { readonly version?: number; readonly baseUrl?: string; readonly sealed?: string } = {},
): Promise<Recorded> => {
  const name = {
    instance: control.instance,
    system: 'salesforce' as const,
    credential: 'crm',
    version: more.version ?? 1,
  };
  const staged = await stageCredential(control.database.clients.applier, control.secrets, name, content);
  const connection = { baseUrl: more.baseUrl ?? 'http://127.0.0.1:9', sealed: more.sealed ?? staged.sealed };
  return [
    {
      change: 'connector.configure',
      system: 'salesforce',
      credential: 'crm',
      credentialVersion: staged.version,
      principals: ['bot'],
    },
    { name: 'connection', content: connectionPart.parse(connection) },
  ];
};
