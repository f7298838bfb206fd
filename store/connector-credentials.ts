/**
 * Credentials of connectors, encrypted at rest under a secret of the instance's key hierarchy. No entry holds one: it is
 * staged here, and the entry that configures the connector names its version and the digest of its ciphertext, so that
 * what is used is what was configured. Only activities open one.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { Binary, MongoServerError, type MongoClient, type Timestamp } from 'mongodb';
import canonicalize from 'canonicalize';
import type { InstanceId } from '../schema/ids.ts';
import type { System } from '../schema/taxonomy.ts';
import { writtenNow } from '../trail/database.ts';
import { TrailError } from '../trail/errors.ts';
import type { Secrets } from '../trail/keys/secrets.ts';
import { controlCollection } from './newest-entry.ts';

/** Name of the secret among the instance's (trail/keys/secrets.ts). */
const credentialSecret = 'connector-credentials/1';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type CredentialContent = { [key: string]: Json };

/** Whose credential it is; authenticated with the ciphertext, so that one can't be put in another's place. */
export interface CredentialName {
  readonly instance: InstanceId;
  readonly system: System;
  readonly credential: string;
  readonly version: number;
}

interface CredentialDocument {
  /** `<instance>/<system>/<credential>/<version>`: written once. */
  _id: string;
  instance: string;
  /** 32 bytes of salt, ciphertext, 16 bytes of tag. */
  sealed: Binary;
  /** `writtenNow`, for the archive. */
  at: Timestamp;
}

const credentialsOf = (client: MongoClient) => controlCollection<CredentialDocument>(client, 'connectors');
const idOf = ({ instance, system, credential, version }: CredentialName): string =>
  `${instance}/${system}/${credential}/${version}`;

const saltBytes = 32;
const tagBytes = 16;
/** The key is derived with a random salt for each credential, so no nonce is ever used twice under one key. */
const nonce = Buffer.alloc(12);
const keyFor = (secret: Uint8Array, salt: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, salt, 'trailkeeper/credential/v1', 32));
const additionalData = (name: CredentialName): Buffer => Buffer.from(`trailkeeper/credential/v1\n${idOf(name)}`);

/** Makes the secret where the instance has none. */
export const sealCredential = async (
  secrets: Secrets,
  name: CredentialName,
  content: CredentialContent,
): Promise<Buffer> => {
  const secret = (await secrets.ensure([credentialSecret])).get(credentialSecret)!;
  const salt = randomBytes(saltBytes);
  const cipher = createCipheriv('aes-256-gcm', keyFor(secret, salt), nonce).setAAD(additionalData(name));
  const plaintext = Buffer.from(canonicalize(content)!, 'utf8');
  return Buffer.concat([salt, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

const unseal = async (secrets: Secrets, name: CredentialName, sealed: Uint8Array): Promise<CredentialContent> => {
  const secret = (await secrets.existing([credentialSecret])).get(credentialSecret)!;
  const key = keyFor(secret, sealed.subarray(0, saltBytes));
  const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(additionalData(name));
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    const plaintext = [decipher.update(sealed.subarray(saltBytes, -tagBytes)), decipher.final()];
    return JSON.parse(Buffer.concat(plaintext).toString('utf8')) as CredentialContent;
  } catch {
    // The cause is left out: a parser's message may quote what it was given.
    throw new TrailError('KEY_UNAVAILABLE', `the credential ${idOf(name)} does not open under this instance's key`);
  }
};

export const sealedDigest = (sealed: Uint8Array): string => createHash('sha256').update(sealed).digest('hex');

/** Digest of the ciphertext that is staged under this name, undefined where nothing is. */
export const findStaged = async (client: MongoClient, name: CredentialName): Promise<string | undefined> => {
  const document = await credentialsOf(client).findOne({ _id: idOf(name) });
  return document === null ? undefined : sealedDigest(document.sealed.buffer);
};

/** What the part `connection` of a `connector.configure` entry needs of it. */
export interface StagedCredential {
  readonly version: number;
  /** Hex SHA-256 of the ciphertext. */
  readonly sealed: string;
}

/**
 * Keeps a credential for the entry that will configure it, under the first version from `name.version` on that is free
 * or already holds this very content. `client`: applier duty. It has no effect until that entry is applied.
 */
export const stageCredential = async (
  client: MongoClient,
  secrets: Secrets,
  name: CredentialName,
  content: CredentialContent,
): Promise<StagedCredential> => {
  for (let { version } = name; ; version += 1) {
    const staged = { ...name, version };
    const sealed = await sealCredential(secrets, staged, content);
    try {
      await credentialsOf(client).insertOne({
        _id: idOf(staged),
        instance: name.instance,
        sealed: new Binary(sealed),
        at: writtenNow,
      });
      return { version, sealed: sealedDigest(sealed) };
    } catch (error) {
      if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
    }
    const present = await credentialsOf(client).findOne({ _id: idOf(staged) });
    if (present === null) continue;
    const kept = await unseal(secrets, staged, present.sealed.buffer);
    if (canonicalize(kept) === canonicalize(content)) return { version, sealed: sealedDigest(present.sealed.buffer) };
  }
};

/**
 * The credential of a configured connector, for one call. Throws KEY_UNAVAILABLE where it is missing, is not the one
 * that was configured, or its key was destroyed.
 */
export const openCredential = async (
  client: MongoClient /* reader duty */,
  secrets: Secrets,
  name: CredentialName,
  sealed: string,
): Promise<CredentialContent> => {
  const document = await credentialsOf(client).findOne({ _id: idOf(name) });
  if (document === null || sealedDigest(document.sealed.buffer) !== sealed)
    throw new TrailError(
      'KEY_UNAVAILABLE',
      `the credential ${idOf(name)} in the database is not the one that was configured; configure it anew`,
    );
  return unseal(secrets, name, document.sealed.buffer);
};
