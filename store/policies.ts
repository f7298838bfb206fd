/** Published Cedar policy sets. The one in force is the one published last, by log index. */
import { createHash } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import type { PolicySet } from '../domain/access/policy-set.ts';
import { validatePolicySet } from '../domain/access/validate.ts';
import type { ControlChange } from '../schema/control.ts';
import type { InstanceId } from '../schema/ids.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';

interface PolicyDocument extends AppliedDocument {
  name: string;
  version: number;
  digest: string;
  text: string;
}

const policiesOf = (client: MongoClient) => controlCollection<PolicyDocument>(client, 'policies');
const idOf = (instance: InstanceId, name: string, version: number): string => `${instance}/${name}/${version}`;

/** What `policy.publish` names a set by: hex SHA-256 of its text in UTF-8. */
export const policyDigest = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

const policySet = ({ name, version, digest, text, index }: PolicyDocument): PolicySet => ({
  name,
  version,
  digest,
  text,
  index,
});

export const findPolicySetInForce = async (
  client: MongoClient,
  instance: InstanceId,
): Promise<PolicySet | undefined> => {
  const document = await policiesOf(client).findOne({ instance }, { sort: { index: -1 } });
  return document === null ? undefined : policySet(document);
};

type Publish = Extract<ControlChange, { change: 'policy.publish' }>;

const policiesPart = z.strictObject({ text: z.string() });

/** A set that does not validate never comes into force: the one before it stays. */
export const planPolicies = async (applied: AppliedEntry, change: Publish): Promise<Plan> => {
  const { client, instance, index } = applied;
  const { policySet: name, version, digest } = change;
  const found = await applied.part('policies');
  const parsed = policiesPart.safeParse(found.state === 'present' ? found.content : undefined);
  if (!parsed.success) return badPart('policies', found, '{text}');
  const { text } = parsed.data;
  if (policyDigest(text) !== digest)
    return toVoid('INVALID_REQUEST', `the text published as ${name}@${version} does not have the digest ${digest}`);
  const validated = validatePolicySet(text);
  if (validated.state === 'invalid') {
    const [first] = validated.problems;
    const where = first.policy === undefined ? 'the set' : `the policy ${first.policy}`;
    return toVoid(
      'INVALID_REQUEST',
      `${name}@${version} is not valid (${first.kind} in ${where}); the set before it stays`,
    );
  }
  const same = await policiesOf(client).findOne({ _id: idOf(instance, name, version) });
  if (same !== null && same.digest !== digest)
    return toVoid('CONFLICT', `${name}@${version} was published with another text; raise the version`);
  return toWrite(() =>
    putUnlessNewer(policiesOf(client), {
      _id: idOf(instance, name, version),
      instance,
      index,
      name,
      version,
      digest,
      text,
    }),
  );
};
