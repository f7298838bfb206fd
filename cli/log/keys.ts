/** The keys by which a log is checked: more than one where it changed its key. */
import type { NoteKey } from '../../domain/tree/note.ts';
import type { CommandContext, Flags } from '../command.ts';
import { knownKeys, readText } from '../connection.ts';
import { CliError, exitCodes } from '../exit.ts';
import { keyOf } from './verifyFiles.ts';

export interface KeyFlags extends Flags {
  readonly key?: string[];
  /** Each has one key a line. */
  readonly keyFile?: string[];
}

/** Those that were given, else those of the credentials file. Throws CliError `usage` where there are none, or of two logs. */
export const keysFrom = (flags: KeyFlags, { env, cwd }: CommandContext): readonly [NoteKey, ...NoteKey[]] => {
  const given = [...(flags.key ?? []), ...(flags.keyFile ?? []).flatMap((path) => readText(path).split(/\s+/))];
  const vkeys = given.length > 0 ? given : knownKeys(flags, env, cwd);
  const [first, ...others] = vkeys.filter((vkey) => vkey !== '').map(keyOf);
  if (first === undefined)
    throw new CliError(exitCodes.usage, 'say by which key the log is to be checked: --key or --key-file');
  const other = others.find(({ name }) => name !== first.name);
  if (other) throw new CliError(exitCodes.usage, `the keys are of two logs: ${first.name} and ${other.name}`);
  return [first, ...others];
};

/** For a verdict that no known key signed. */
export const keyHint =
  'None of the keys given signed it. If the log changed its key, add the new one (docs/keys.md, "After a rotation").';
