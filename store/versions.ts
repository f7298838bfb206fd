/**
 * Published versions of mappings, prompts, models and agent builds. The one in force is the one published last, by log
 * index; publishing an earlier version again brings it back.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import type { ControlChange, VersionKind } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import type { System } from '../schema/taxonomy.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';
import { findPrincipal } from './principals.ts';

export interface PublishedVersion {
  readonly kind: VersionKind;
  readonly name: string;
  readonly version: string;
  /** Hex SHA-256 of the content's canonical JSON (RFC 8785). */
  readonly digest: string;
  /**
   * Of a mapping: `{fields: {<logical field>: <vendor's field>}}`. Absent for the other kinds: nothing here needs it, and
   * what a prompt says stays in the log's encrypted part, where erasure reaches it.
   */
  readonly content?: MappingContent;
  /** The agent that a prompt, model or build is for. */
  readonly agent?: PrincipalId;
  /** The system whose fields a mapping names. */
  readonly system?: System;
  /** Log index of the last entry that published it. */
  readonly index: number;
}

const mappingContent = z.object({ fields: z.record(z.string().min(1).max(128), z.string().min(1).max(128)) });
export type MappingContent = z.infer<typeof mappingContent>;

interface VersionDocument extends AppliedDocument {
  kind: VersionKind;
  name: string;
  version: string;
  digest: string;
  content?: MappingContent;
  agent?: string;
  system?: System;
}

const versionsOf = (client: MongoClient) => controlCollection<VersionDocument>(client, 'versions');
const idOf = (instance: InstanceId, kind: VersionKind, name: string, version: string): string =>
  `${instance}/${kind}/${name}/${version}`;

const published = ({
  kind,
  name,
  version,
  digest,
  content,
  agent,
  system,
  index,
}: VersionDocument): PublishedVersion => ({
  kind,
  name,
  version,
  digest,
  ...(content !== undefined && { content }),
  ...(agent !== undefined && { agent: agent as PrincipalId }),
  ...(system !== undefined && { system }),
  index,
});

/** What `version.publish` and `prompt.submit` name a content by. */
export const contentDigest = (content: unknown): string =>
  createHash('sha256')
    .update(canonicalize(content) ?? 'null')
    .digest('hex');

export const findVersion = async (
  client: MongoClient,
  instance: InstanceId,
  kind: VersionKind,
  name: string,
  version: string,
): Promise<PublishedVersion | undefined> => {
  const document = await versionsOf(client).findOne({ _id: idOf(instance, kind, name, version) });
  return document === null ? undefined : published(document);
};

export const findVersionInForce = async (
  client: MongoClient,
  instance: InstanceId,
  kind: VersionKind,
  name: string,
): Promise<PublishedVersion | undefined> => {
  const document = await versionsOf(client).findOne({ instance, kind, name }, { sort: { index: -1 } });
  return document === null ? undefined : published(document);
};

type Publish = Extract<ControlChange, { change: 'version.publish' }>;

export const planPublication = async (applied: AppliedEntry, change: Publish): Promise<Plan> => {
  const { client, instance, index } = applied;
  const { kind, name, version, digest, agent, system } = change;
  const found = await applied.part('content');
  if (found.state !== 'present') return badPart('content', found, 'the published content');
  if (contentDigest(found.content) !== digest)
    return toVoid('INVALID_REQUEST', `the content published as ${name}@${version} does not have the digest ${digest}`);
  const mapping = mappingContent.safeParse(found.content);
  if (kind === 'mapping') {
    if (system === undefined) return toVoid('INVALID_REQUEST', 'a mapping names the system whose fields it maps to');
    if (!mapping.success) return badPart('content', found, 'a mapping, {fields: {<logical>: <vendor field>}}');
  } else {
    if (agent === undefined) return toVoid('INVALID_REQUEST', `a published ${kind} names the agent that it is for`);
    if (!(await findPrincipal(client, instance, agent)))
      return toVoid('NOT_FOUND', `the agent ${agent} is not registered; register it first`);
  }
  const inForce = await findVersionInForce(client, instance, kind, name);
  if (inForce !== undefined && (inForce.system !== system || inForce.agent !== agent))
    return toVoid('CONFLICT', `the ${kind} ${name} is for another system or agent; choose another name`);
  const same = await findVersion(client, instance, kind, name, version);
  if (same !== undefined && same.digest !== digest)
    return toVoid('CONFLICT', `${kind} ${name}@${version} was published with other content; raise the version`);
  return toWrite(() =>
    putUnlessNewer(versionsOf(client), {
      _id: idOf(instance, kind, name, version),
      instance,
      index,
      kind,
      name,
      version,
      digest,
      ...(kind === 'mapping' && mapping.success && { content: mapping.data }),
      ...(agent !== undefined && { agent }),
      ...(system !== undefined && { system }),
    }),
  );
};
