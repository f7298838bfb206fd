/** What a creation is asked for: it stands in the platform's log, encrypted, and nowhere else. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { roles } from '../../schema/control.ts';
import { instanceIdPattern, principalIdPattern, type CorrelationId, type EventId } from '../../schema/ids.ts';
import { actorKinds } from '../../schema/taxonomy.ts';

/** Name of the part of the request's entry, and of the one that says how it ended. */
export const instancePart = 'instance';

export const membersMax = 16;

export const instanceMember = z.strictObject({
  principal: z.string().regex(principalIdPattern),
  kind: z.enum(actorKinds),
  role: z.enum(roles),
  /** Of the token, which only whoever asked has. */
  tokenSha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type InstanceMember = z.infer<typeof instanceMember>;

export const creationRequest = z.strictObject({
  instance: z.string().regex(instanceIdPattern),
  members: z.array(instanceMember).min(1).max(membersMax),
});
export type CreationRequest = z.infer<typeof creationRequest>;

/** Content of the part `instance` of the entry that says how a creation ended. */
export const creationResult = z.object({
  instance: z.string(),
  origin: z.string().optional(),
  vkey: z.string().optional(),
  checkpoint: z.string().optional(),
});

/** All that belongs to one creation, in the platform's log and in the new one. */
export const creationCorrelation = (request: EventId): CorrelationId =>
  createHash('sha256').update(`instance.create\n${request}`).digest('hex').slice(0, 32) as CorrelationId;

/** What can't stand in one request, in words for whoever asked; undefined where all is well. */
export const problemOfMembers = (members: readonly InstanceMember[]): string | undefined => {
  if (!members.some(({ role, kind }) => role === 'admin' && kind === 'human'))
    return 'at least one human has the role admin';
  if (members.some(({ kind }) => kind === 'platform')) return 'the platform itself is no member';
  if (new Set(members.map(({ tokenSha256 }) => tokenSha256)).size < members.length)
    return 'each member has a token of its own';
  if (new Set(members.map(({ role }) => role)).size < members.length)
    return 'a role can be given once: its token is named after it';
  const kinds = Map.groupBy(members, ({ principal }) => principal);
  if ([...kinds.values()].some((same) => new Set(same.map(({ kind }) => kind)).size > 1))
    return 'one principal is of one kind';
  return undefined;
};
