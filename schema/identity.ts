/** How people, agents and services are called in target systems: many identities a principal, one principal an identity. */
import { z } from 'zod';
import { systems } from './taxonomy.ts';

/** Where the identity is from. The platform's own principals are named as principals. */
export const identitySystem = z.enum(systems).exclude(['trailkeeper']);

/** What the id is of. `user` in all of Salesforce, Slack, Gmail and Jira. */
export const identityKind = z.string().regex(/^[a-z][A-Za-z0-9._-]{0,63}$/);

/** The id as the system gives it: personal data, so never in an entry. */
export const identityId = z
  .string()
  .min(1)
  .max(512)
  .refine((id) => id.isWellFormed(), 'an id is well-formed Unicode');

export const externalIdentity = z.strictObject({ system: identitySystem, kind: identityKind, id: identityId });
export type ExternalIdentity = z.infer<typeof externalIdentity>;
