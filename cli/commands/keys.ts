/** Keys: those of an instance over the API; the folder of keys of this machine, its backup and its restoration. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  backupDigest,
  BackupError,
  openBackup,
  planRestore,
  sealBackup,
  unopenable,
} from '../../domain/keys/backup.ts';
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { CliError, exitCodes, type ExitCode } from '../exit.ts';
import { keysFolder, readKeyFiles, readPassphrase, writeDurably } from '../keys/folder.ts';
import { printJson } from '../print.ts';

const showDocument = `query Keys {
  keys {
    provider
    epochs { id epoch keyId state current made until }
    signing { id vkey from until }
    rotations { key stage from to moved }
  }
}`;
const rotateDocument = `mutation RotateKey($input: RotateKeyInput!) {
  rotateKey(input: $input) { key stage from to moved }
}`;
const rotateMasterDocument = `mutation RotateMasterKey { rotateMasterKey { begun } }`;
const destroyDocument = `mutation DestroyKey($epoch: Int!) { destroyKey(epoch: $epoch) { epoch begun } }`;

interface KeyFlags extends Flags {
  readonly key?: string;
  readonly overlapMinutes?: string;
  readonly epoch?: string;
  readonly yes?: boolean;
  readonly out?: string;
  readonly from?: string;
  readonly keysDir?: string;
  readonly passphraseFile?: string;
}

interface Shown {
  readonly keys: {
    readonly provider: string | null;
    readonly epochs: readonly { id: string; keyId: string; state: string; current: boolean; until: string | null }[];
    readonly signing: readonly { id: string; vkey: string; from: number | null; until: number | null }[];
    readonly rotations: readonly {
      key: string;
      stage: string;
      from: string | null;
      to: string | null;
      moved: number;
    }[];
  };
}

export const keys: CliCommand<KeyFlags> = {
  usage: 'keys [what]',
  summary: 'the keys of the instance (show, rotate, destroy), and of this machine (backup, restore, verify)',
  help: `show, rotate and destroy ask the API. backup, restore and verify work on the folder of keys of this machine and need no
API; the passphrase comes from --passphrase-file or standard input, never from an argument. A restore overwrites nothing that
differs, and does not bring back what was destroyed since. Exit code 0 where it was done, 1 where a backup does not hold.

  npx trailkeeper keys show --as acme/auditor
  npx trailkeeper keys rotate --key signing --overlap-minutes 1440 --as acme/admin
  npx trailkeeper keys rotate --key epoch --as acme/admin
  npx trailkeeper keys rotate --key master --as platform/admin
  npx trailkeeper keys destroy --epoch 1 --yes --as acme/admin
  npx trailkeeper keys backup --out keys.backup --passphrase-file passphrase
  npx trailkeeper keys verify --from keys.backup --passphrase-file passphrase
  npx trailkeeper keys restore --from keys.backup --passphrase-file passphrase`,
  documents: [showDocument, rotateDocument, rotateMasterDocument, destroyDocument],
  options: (command) =>
    command
      .option('--key <kind>', 'rotate: epoch or signing; or master, for operators of the platform')
      .option('--overlap-minutes <n>', 'rotate a signing key: how long both sign')
      .option('--epoch <n>', 'destroy: the epoch key that was retired')
      .option('--yes', 'destroy: what was wrapped under it alone is unreadable for good')
      .option('--out <file>', 'backup: where it is written; never over a file that is there')
      .option('--from <file>', 'restore, verify: the backup')
      .option('--keys-dir <folder>', 'the folder of keys; by default TRAILKEEPER_KEYS_DIR, or keys/ in the data folder')
      .option('--passphrase-file <file>', 'file with the passphrase, mode 600; by default standard input'),
  async run([what = 'show'], flags, context) {
    const run = { show, rotate, destroy, backup, restore, verify }[what];
    if (!run) throw new CliError(exitCodes.usage, 'keys takes show, rotate, destroy, backup, restore or verify');
    try {
      return await run(flags, context);
    } catch (error) {
      if (error instanceof BackupError) throw new CliError(exitCodes.negative, error.message, error.code);
      throw error;
    }
  },
};

type Run = (flags: KeyFlags, context: CommandContext) => Promise<ExitCode>;

const show: Run = async (_flags, context) => {
  const { client, flags, out } = context;
  const answer = await client().ask<Shown>(showDocument);
  if (flags.json) {
    printJson(context, answer);
    return exitCodes.ok;
  }
  const { provider, epochs, signing, rotations } = answer.keys;
  out(`provider: ${provider ?? 'none yet'}`);
  for (const { id, keyId, state, current, until } of epochs)
    out(`${id}  ${state}${current ? ', current' : ''}${until === null ? '' : `, ${until}`}  ${keyId}`);
  for (const { id, vkey, from, until } of signing)
    out(`${id}  ${from === null ? 'not in use' : until === null ? 'in use' : `retired at ${until}`}  ${vkey}`);
  for (const { key, stage, from, to, moved } of rotations)
    out(`rotation of the ${key} key: ${stage}, ${from ?? '?'} to ${to ?? '?'}, ${moved} moved`);
  return exitCodes.ok;
};

const rotate: Run = async ({ key, overlapMinutes }, context) => {
  const { client, flags, out } = context;
  if (key === 'master') {
    const begun = await client().ask<{ rotateMasterKey: { begun: boolean } }>(rotateMasterDocument);
    if (flags.json) printJson(context, begun);
    else out('the rotation of the master key goes on; the log tells how it ends (key.outcome)');
    return exitCodes.ok;
  }
  if (key !== 'epoch' && key !== 'signing') throw new CliError(exitCodes.usage, '--key takes epoch, signing or master');
  const minutes = overlapMinutes === undefined ? undefined : Number(overlapMinutes);
  if (minutes !== undefined && !Number.isInteger(minutes))
    throw new CliError(exitCodes.usage, '--overlap-minutes takes a whole number');
  const input = { key, ...(minutes !== undefined && { overlapMinutes: minutes }) };
  const answer = await client().ask<{ rotateKey: { stage: string } }>(rotateDocument, { input });
  if (flags.json) printJson(context, answer);
  else out(`the rotation goes on (${answer.rotateKey.stage}); see "trailkeeper keys show"`);
  return exitCodes.ok;
};

const destroy: Run = async ({ epoch, yes }, context) => {
  const { client, flags, out } = context;
  if (epoch === undefined || !/^[1-9]\d*$/.test(epoch)) throw new CliError(exitCodes.usage, '--epoch takes a number');
  if (!yes) throw new CliError(exitCodes.usage, 'a destroyed key is gone for good: say so with --yes');
  const answer = await client().ask<{ destroyKey: { begun: boolean } }>(destroyDocument, { epoch: Number(epoch) });
  if (flags.json) printJson(context, answer);
  else
    out(answer.destroyKey.begun ? 'the destruction goes on; see "trailkeeper keys show"' : 'it was destroyed before');
  return exitCodes.ok;
};

const backup: Run = async ({ out: file, keysDir, passphraseFile }, { env, cwd, out }) => {
  if (file === undefined) throw new CliError(exitCodes.usage, '--out names the file to write');
  const target = resolve(cwd, file);
  if (existsSync(target)) throw new CliError(exitCodes.usage, `${file} is there already`);
  const folder = keysFolder(keysDir, env, cwd);
  const files = await readKeyFiles(folder);
  if (!files.has('master.key')) throw new CliError(exitCodes.usage, `${folder} holds no master.key`);
  const bad = unopenable(files);
  if (bad.length > 0)
    throw new CliError(exitCodes.negative, `these keys do not open under master.key: ${bad.join(', ')}`);
  const bytes = sealBackup(files, await readPassphrase(passphraseFile, cwd));
  await writeDurably(target, bytes);
  out(`${files.size} files of ${folder} are in ${file} (SHA-256 ${backupDigest(bytes)})`);
  return exitCodes.ok;
};

const opened = async ({ from, passphraseFile }: KeyFlags, cwd: string): Promise<Map<string, Buffer>> => {
  if (from === undefined) throw new CliError(exitCodes.usage, '--from names the backup');
  const path = resolve(cwd, from);
  if (!existsSync(path)) throw new CliError(exitCodes.usage, `${from} is not there`);
  return openBackup(await readFile(path), await readPassphrase(passphraseFile, cwd));
};

const restore: Run = async (flags, { env, cwd, out, note }) => {
  const files = await opened(flags, cwd);
  const folder = keysFolder(flags.keysDir, env, cwd);
  const plan = planRestore(files, await readKeyFiles(folder));
  if (plan.conflicts.length > 0)
    throw new CliError(
      exitCodes.negative,
      `${folder} holds other keys (${plan.conflicts.join(', ')}): move them away first, nothing was changed`,
    );
  // The master key last: until it is there, no process takes the folder for a whole one.
  const masters = (path: string) => (path.includes('/') ? 0 : 1);
  for (const path of plan.write.toSorted((a, b) => masters(a) - masters(b)))
    await writeDurably(join(folder, path), files.get(path)!);
  for (const path of plan.destroyed) note(`not restored, since it was destroyed: ${path}`);
  out(`${plan.write.length} files are restored to ${folder}, ${plan.same.length} were there`);
  return exitCodes.ok;
};

const verify: Run = async (flags, { cwd, out }) => {
  const files = await opened(flags, cwd);
  const bad = unopenable(files);
  for (const path of bad) out(`does not open under the master key: ${path}`);
  const keyFiles = [...files.keys()].filter((path) => path.endsWith('.key') && path.includes('/'));
  out(`${keyFiles.length} epoch keys, ${keyFiles.length - bad.length} of them open under the master key`);
  return bad.length === 0 && files.has('master.key') ? exitCodes.ok : exitCodes.negative;
};
