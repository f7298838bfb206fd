/** The local credentials file: endpoints, verifier keys, and one token a role for each instance. Mode 600. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const credentialsShape = z.looseObject({
  /** GraphQL endpoint. */
  endpoint: z.string(),
  instances: z.record(
    z.string(),
    z.looseObject({
      /** URL prefix of the log, and the key that its checkpoints are signed with. */
      log: z.string(),
      vkey: z.string(),
      /** All keys that the log has or had; older checkpoints and packs are checked with these. */
      vkeys: z.array(z.string()).optional(),
      /** Bearer tokens by role. */
      tokens: z.record(z.string(), z.string()),
      /** Who each token is, by the same roles: the name that the record has. */
      principals: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
export type Credentials = z.infer<typeof credentialsShape>;

export const credentialsPath = (dataFolder: string): string => join(dataFolder, 'credentials.json');

/** What an earlier start left; undefined where there is none, or none that can be read. */
export const readCredentials = async (dataFolder: string): Promise<Credentials | undefined> => {
  try {
    return credentialsShape.parse(JSON.parse(await readFile(credentialsPath(dataFolder), 'utf8')));
  } catch {
    return undefined;
  }
};

/** Renamed into place, so that a crash leaves the old file or the new one. */
export const writeCredentials = async (dataFolder: string, credentials: Credentials): Promise<void> => {
  const path = credentialsPath(dataFolder);
  await writeFile(`${path}.new`, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
};
