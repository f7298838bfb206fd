/** Which systems an instance's agents may act in, with which credential, and who may act under it. */
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import type { ControlChange } from '../schema/control.ts';
import type { InstanceId, PrincipalId } from '../schema/ids.ts';
import type { System } from '../schema/taxonomy.ts';
import { badPart, toVoid, toWrite, type AppliedEntry, type Plan } from './change.ts';
import { findStaged } from './connector-credentials.ts';
import { changeUnlessNewer, controlCollection, putUnlessNewer, type AppliedDocument } from './newest-entry.ts';

export interface ConnectorConfig {
  readonly system: System;
  readonly credential: string;
  readonly credentialVersion: number;
  /** The only ones that may act under the credential. */
  readonly principals: readonly PrincipalId[];
  /** Where the system is reached; no trailing slash. */
  readonly baseUrl: string;
  /** Digest of the credential's ciphertext, for `openCredential`. */
  readonly sealed: string;
  readonly disabled: boolean;
  readonly index: number;
}

interface ConfigDocument extends AppliedDocument {
  system: System;
  credential: string;
  credentialVersion: number;
  principals: string[];
  baseUrl: string;
  sealed: string;
  disabled: boolean;
}

const configsOf = (client: MongoClient) => controlCollection<ConfigDocument>(client, 'connectors');
const idOf = (instance: InstanceId, system: System): string => `${instance}/${system}`;

/** Part `connection` of a `connector.configure` entry: where to, and which ciphertext. Neither is a secret. */
export const connectionPart = z.strictObject({
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .refine((url) => !url.endsWith('/') && !/[@?#]/.test(url), 'no user, query, fragment or trailing slash'),
  sealed: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ConnectionPart = z.infer<typeof connectionPart>;

/** The latest configuration of a system, disabled or not. */
export const findConnector = async (
  client: MongoClient,
  instance: InstanceId,
  system: System,
): Promise<ConnectorConfig | undefined> => {
  const document = await configsOf(client).findOne({ _id: idOf(instance, system) });
  if (document === null) return undefined;
  const { credential, credentialVersion, principals, baseUrl, sealed, disabled, index } = document;
  return {
    system,
    credential,
    credentialVersion,
    principals: principals as PrincipalId[],
    baseUrl,
    sealed,
    disabled,
    index,
  };
};

type Configure = Extract<ControlChange, { change: 'connector.configure' }>;
type Disable = Extract<ControlChange, { change: 'connector.disable' }>;

export const planConfiguration = async (applied: AppliedEntry, change: Configure): Promise<Plan> => {
  const { client, instance, index } = applied;
  const { system, credential, credentialVersion, principals } = change;
  const found = await applied.part('connection');
  const parsed = connectionPart.safeParse(found.state === 'present' ? found.content : undefined);
  if (!parsed.success) return badPart('connection', found, '{baseUrl, sealed}');
  const { baseUrl, sealed } = parsed.data;
  const staged = await findStaged(client, { instance, system, credential, version: credentialVersion });
  if (staged === undefined)
    return toVoid('NOT_FOUND', `version ${credentialVersion} of the credential ${credential} is not staged`);
  if (staged !== sealed)
    return toVoid(
      'CONFLICT',
      `the staged credential ${credential}/${credentialVersion} is not the one the entry names`,
    );
  return toWrite(() =>
    putUnlessNewer(configsOf(client), {
      _id: idOf(instance, system),
      instance,
      index,
      system,
      credential,
      credentialVersion,
      principals,
      baseUrl,
      sealed,
      disabled: false,
    }),
  );
};

export const planConnectorDisabling = async (
  { client, instance, index }: AppliedEntry,
  { system, credential }: Disable,
): Promise<Plan> => {
  const config = await findConnector(client, instance, system);
  if (config === undefined || config.credential !== credential)
    return toVoid('NOT_FOUND', `the credential ${credential} is not the one configured for ${system}`);
  return toWrite(() => changeUnlessNewer(configsOf(client), idOf(instance, system), { disabled: true, index }));
};
