/** Connectors that are not configured, or not as the specification says. One that somebody disabled is left so. */
import canonicalize from 'canonicalize';
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { openCredential, stageCredential } from '../../store/connector-credentials.ts';
import type { ConnectionPart, ConnectorConfig } from '../../store/connectors.ts';
import type { ControlState } from '../../store/control-state.ts';
import type { Secrets } from '../../trail/keys/secrets.ts';
import type { WantedChange } from './change-entry.ts';
import type { ConnectorSpec, InstanceSpec } from './spec.ts';

/** Stages the credentials that the changes name. */
export const missingConnectors = async (
  { connectors }: InstanceSpec,
  state: ControlState,
  secrets: Secrets,
  applier: MongoClient,
): Promise<WantedChange[]> => {
  const changes: WantedChange[] = [];
  for (const spec of connectors) {
    const { system, credential, content, principals, baseUrl } = spec;
    const present = await state.connector(system);
    if (present?.disabled === true) continue;
    const sameContent = present !== undefined && (await holds(present, spec, state.instance, secrets, applier));
    if (sameContent && present.baseUrl === baseUrl && canonicalize(present.principals) === canonicalize(principals))
      continue;
    const first = present === undefined ? 1 : present.credentialVersion + (sameContent ? 0 : 1);
    const name = { instance: state.instance, system, credential, version: first };
    const staged = await stageCredential(applier, secrets, name, content);
    changes.push({
      change: {
        change: 'connector.configure',
        system,
        credential,
        credentialVersion: staged.version,
        principals: [...principals],
      },
      part: { name: 'connection', content: { baseUrl, sealed: staged.sealed } satisfies ConnectionPart },
      ...(present !== undefined && { replaces: present.index }),
    });
  }
  return changes;
};

const holds = async (
  { credential, credentialVersion, sealed }: ConnectorConfig,
  wanted: ConnectorSpec,
  instance: InstanceId,
  secrets: Secrets,
  client: MongoClient,
): Promise<boolean> => {
  if (credential !== wanted.credential) return false;
  const name = { instance, system: wanted.system, credential, version: credentialVersion };
  return canonicalize(await openCredential(client, secrets, name, sealed)) === canonicalize(wanted.content);
};
