/**
 * Where the API is and who asks: flags first, then the environment, then the credentials file that a local start writes
 * (`.trailkeeper/credentials.json`), of which `--as <instance>/<role>` takes one token.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { CliError, exitCodes } from './exit.ts';

export interface ConnectionFlags {
  readonly endpoint?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly as?: string;
  readonly credentials?: string;
}

export interface Connection {
  readonly endpoint: string;
  readonly token: string;
  /** Known from the credentials file, which was written when the instance was set up; not from the API. */
  readonly log: string | undefined;
  readonly vkey: string | undefined;
}

const credentialsShape = z.looseObject({
  endpoint: z.string(),
  instances: z.record(
    z.string(),
    z.looseObject({
      log: z.string().optional(),
      vkey: z.string().optional(),
      /** All keys that the log has or had, where it changed its key. */
      vkeys: z.array(z.string()).optional(),
      tokens: z.record(z.string(), z.string()),
    }),
  ),
});

const usage = (message: string): CliError => new CliError(exitCodes.usage, message);

export const connect = (flags: ConnectionFlags, env: NodeJS.ProcessEnv, cwd: string): Connection => {
  const as = flags.as ?? env['TRAILKEEPER_AS'];
  const token = flags.token ?? (flags.tokenFile && readText(flags.tokenFile).trim()) ?? env['TRAILKEEPER_TOKEN'];
  const endpoint = flags.endpoint ?? env['TRAILKEEPER_ENDPOINT'];
  if (token !== undefined && endpoint !== undefined && as === undefined)
    return { endpoint, token, log: undefined, vkey: undefined };
  const path = credentialsPath(flags.credentials ?? env['TRAILKEEPER_CREDENTIALS'], cwd);
  if (path === undefined)
    throw usage(
      'say where the API is and who asks: --endpoint and --token-file, or --as <instance>/<role> with a credentials file',
    );
  const credentials = readCredentials(path);
  if (as === undefined) {
    if (token === undefined) throw usage(`say who asks: --as <instance>/<role>, out of ${path}`);
    return { endpoint: endpoint ?? credentials.endpoint, token, log: undefined, vkey: undefined };
  }
  const [instance = '', role = ''] = as.split('/');
  const known = credentials.instances[instance];
  const own = known?.tokens[role];
  if (!known || (own === undefined && token === undefined))
    throw usage(`${path} has no token for "${as}"; it has ${available(credentials)}`);
  return {
    endpoint: endpoint ?? credentials.endpoint,
    token: token ?? own!,
    log: known.log,
    vkey: known.vkey,
  };
};

/** The log's keys of the instance that `--as` names, for checks that need no API; none where they are not known. */
export const knownKeys = (flags: ConnectionFlags, env: NodeJS.ProcessEnv, cwd: string): readonly string[] => {
  const as = flags.as ?? env['TRAILKEEPER_AS'];
  const path = credentialsPath(flags.credentials ?? env['TRAILKEEPER_CREDENTIALS'], cwd);
  if (as === undefined || path === undefined) return [];
  const known = readCredentials(path).instances[as.split('/')[0]!];
  return known?.vkeys ?? (known?.vkey === undefined ? [] : [known.vkey]);
};

const available = ({ instances }: z.infer<typeof credentialsShape>): string =>
  Object.entries(instances)
    .flatMap(([instance, { tokens }]) => Object.keys(tokens).map((role) => `${instance}/${role}`))
    .join(', ');

const readCredentials = (path: string): z.infer<typeof credentialsShape> => {
  try {
    return credentialsShape.parse(JSON.parse(readText(path)));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw usage(`${path} is no credentials file`);
  }
};

/** The nearest, from the working directory upwards. */
const credentialsPath = (given: string | undefined, cwd: string): string | undefined => {
  if (given !== undefined) return resolve(cwd, given);
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const path = join(folder, '.trailkeeper', 'credentials.json');
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) return undefined;
  }
};

export const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw usage(`${path} can't be read`);
  }
};
