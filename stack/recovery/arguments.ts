/** What `verify` and `rebuild` are told: which instances, by which keys, and which checkpoints were kept elsewhere. */
import { readFile, readdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { TreeError } from '../../domain/tree/errors.ts';
import { parseVkey, type NoteKey } from '../../domain/tree/note.ts';
import { instanceIdPattern, type InstanceId } from '../../schema/ids.ts';
import type { KeyTrust } from '../../trail/archive/head.ts';
import { ConfigError, type Config } from '../config.ts';
import { readCredentials } from '../embedded/credentials.ts';

export interface RecoveryArguments {
  readonly task: 'verify' | 'rebuild';
  readonly instances: readonly InstanceId[];
  /** Keys that were given; none leaves it to the credentials file, and then to the archive's own word. */
  readonly keys: readonly NoteKey[];
  readonly kept: readonly Uint8Array[];
  readonly json: boolean;
}

/** Throws ConfigError for what can't be used. */
export const readArguments = async (argv: readonly string[], config: Config): Promise<RecoveryArguments> => {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      instance: { type: 'string', multiple: true },
      'key-file': { type: 'string', multiple: true },
      checkpoint: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
    },
  });
  const [task] = positionals;
  if (task !== 'verify' && task !== 'rebuild') throw new ConfigError(['say verify or rebuild']);
  const named = values.instance ?? (await archivedInstances(config));
  const wrong = named.find((name) => !instanceIdPattern.test(name));
  if (wrong !== undefined) throw new ConfigError([`"${wrong}" is no name of an instance`]);
  const keys: NoteKey[] = [];
  for (const path of values['key-file'] ?? []) keys.push(...(await keysIn(path)));
  const kept = await Promise.all((values.checkpoint ?? []).map((path) => readInput(path)));
  return { task, instances: named as InstanceId[], keys, kept, json: values.json };
};

/** Of a folder every instance in it; a bucket does not tell. */
const archivedInstances = async ({ archive: { place } }: Config): Promise<string[]> => {
  if (place.kind === 's3')
    throw new ConfigError(['--instance is needed: the archives are in S3, one place an instance']);
  const found = await readdir(place.folder, { withFileTypes: true }).catch(() => []);
  const names = found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (names.length === 0) throw new ConfigError([`${place.folder} holds no archive (TRAILKEEPER_ARCHIVE)`]);
  return names.toSorted();
};

/** One verifier key a line. */
const keysIn = async (path: string): Promise<NoteKey[]> => {
  const lines = (await readInput(path)).toString('utf8').split('\n');
  try {
    return lines.map((line) => line.trim()).flatMap((line) => (line === '' ? [] : [parseVkey(line)]));
  } catch (error) {
    if (error instanceof TreeError) throw new ConfigError([`${path}: ${error.message}`]);
    throw error;
  }
};

const readInput = async (path: string): Promise<Buffer> => {
  try {
    return await readFile(path);
  } catch {
    throw new ConfigError([`${path} can't be read`]);
  }
};

/** By which keys an instance's archive is believed. */
export const trustIn = async (
  config: Config,
  instance: InstanceId,
  given: readonly NoteKey[],
  note: (line: string) => void,
): Promise<KeyTrust> => {
  if (given.length > 0) return { kind: 'trusted', keys: given };
  const known = (await readCredentials(config.folders.data))?.instances[instance];
  if (known !== undefined) return { kind: 'trusted', keys: (known.vkeys ?? [known.vkey]).map(parseVkey) };
  note(
    `${instance}: no key was given (--key-file): the archive is believed on its own word. It may be another's that hangs ` +
      'together; compare the origin and the key that it names with what was kept elsewhere.',
  );
  return { kind: 'its-own' };
};
