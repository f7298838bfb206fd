/** Evidence packs: getting one, and checking one that somebody gave out. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { collect } from '../collect.ts';
import { main as verifyPack } from '../../domain/evidence/verifier.mjs';
import type { Client } from '../client.ts';
import type { CliCommand, CommandContext, Flags } from '../command.ts';
import { knownKeys } from '../connection.ts';
import { fetchPack, PackInterrupted, type FetchedPack } from '../evidence/fetchPack.ts';
import { CliError, exitCodes, type ExitCode } from '../exit.ts';
import { counted, printJson } from '../print.ts';

const exportDocument = `mutation ExportEvidence($input: ExportEvidenceInput!) {
  exportEvidence(input: $input) { id url expires entries vkey }
}`;

interface Asked {
  readonly exportEvidence: { readonly id: string; readonly entries: number };
}

interface EvidenceFlags extends Flags {
  readonly run?: string;
  readonly correlation?: string;
  readonly from?: string;
  readonly to?: string;
  readonly out?: string;
  readonly key?: string[];
  readonly keyFile?: string[];
  readonly witness?: string[];
  readonly witnesses?: string;
  readonly tlogProof?: string;
}

export const evidence: CliCommand<EvidenceFlags> = {
  usage: 'evidence <export|verify> [pack]',
  summary: 'get an evidence pack (export), or check one (verify)',
  help: `A pack is one archive for whoever trusts neither the platform nor those who run it: entries, the payload that the caller
may see, proofs, policies, a signed manifest and a verifier (docs/evidence.md). Exporting one is recorded.
"verify" runs the verifier that is also in every pack; it needs no API. The key of the log must be known beforehand:
--key, --key-file, or the one that the credentials file holds for --as. Exit code 0 where the pack holds, 1 where it does
not or where no key is known.

  npx trailkeeper evidence export --run <run id> --out pack.tar.gz --as acme/auditor
  npx trailkeeper evidence export --from 0 --to 999 --out range.tar.gz --as acme/auditor
  npx trailkeeper evidence verify pack.tar.gz --as acme/auditor`,
  documents: [exportDocument],
  options: (command) =>
    command
      .option('--run <id>', 'export the chain of a run')
      .option('--correlation <id>', 'export everything under a correlation id')
      .option('--from <index>', 'export a range of the log, from this entry on')
      .option('--to <index>', 'to this entry; by default the last')
      .option('--out <file>', 'where the pack is written; never over a file that is there')
      .option('--key <vkey>', 'verifier key of the log: name+id+base64; may be repeated', collect)
      .option('--key-file <file>', 'file that holds it; may be repeated', collect)
      .option('--witness <vkey>', 'verifier key of a witness; may be repeated', collect)
      .option('--witnesses <k>', 'how many of them must have cosigned; by default all')
      .option('--tlog-proof <index>', 'print the proof of one entry (c2sp.org/tlog-proof) instead'),
  async run([what, pack], flags, context) {
    if (what === 'export' && pack === undefined) return exportTo(flags, context);
    if (what === 'verify' && pack !== undefined) return verify(pack, flags, context);
    throw new CliError(exitCodes.usage, 'say "evidence export --out <file>" or "evidence verify <file>"');
  },
};

const numberOf = (text: string | undefined, flag: string): number | undefined => {
  if (text !== undefined && !/^\d{1,15}$/.test(text)) throw new CliError(exitCodes.usage, `${flag} takes a log index`);
  return text === undefined ? undefined : Number(text);
};

const scopeOf = ({ run, correlation, from, to }: EvidenceFlags): object => {
  const isRange = from !== undefined || to !== undefined;
  if ([run !== undefined, correlation !== undefined, isRange].filter(Boolean).length !== 1)
    throw new CliError(exitCodes.usage, 'say what to export: --run, or --correlation, or --from and --to');
  if (isRange) return { range: { from: numberOf(from, '--from') ?? 0, to: numberOf(to, '--to') } };
  return run === undefined ? { correlationId: correlation } : { run };
};

const attempts = 3;

const exportTo = async (flags: EvidenceFlags, context: CommandContext): Promise<ExitCode> => {
  const input = scopeOf(flags);
  if (flags.out === undefined) throw new CliError(exitCodes.usage, 'say where the pack is to be written: --out <file>');
  const file = resolve(context.cwd, flags.out);
  if (existsSync(file)) throw new CliError(exitCodes.usage, `${file} is there already; take another name`);
  const client = context.client();
  for (let attempt = 1; ; attempt += 1) {
    // A link works once, so each attempt has one of its own.
    const { exportEvidence: asked } = await client.ask<Asked>(exportDocument, { input });
    try {
      const fetched = await fetchAsked(client, asked, file, context);
      report(fetched, asked.id, file, flags, context);
      return exitCodes.ok;
    } catch (error) {
      if (!(error instanceof PackInterrupted)) throw error;
      if (attempt === attempts)
        throw new CliError(
          exitCodes.unavailable,
          `${error.message}, ${attempts} times; nothing was kept, try again later`,
        );
      context.note(`${error.message}; beginning anew`);
    }
  }
};

const fetchAsked = (
  { connection }: Client,
  { id, entries }: Asked['exportEvidence'],
  file: string,
  { signal, note }: CommandContext,
): Promise<FetchedPack> =>
  fetchPack({
    // Beside GraphQL, wherever that is reached: the API may be known to others under another name.
    url: new URL(`evidence/${id}`, connection.endpoint),
    token: connection.token,
    file,
    signal,
    progress: (done) => note(`${done} of ${entries} entries`),
  });

const report = (
  { entries, sizeBytes }: FetchedPack,
  id: string,
  file: string,
  { json, as }: EvidenceFlags,
  context: CommandContext,
): void => {
  if (json) return printJson(context, { id, file, entries, sizeBytes });
  context.out(`${counted(entries, 'entry', 'entries')} in ${file} (${sizeBytes} bytes)`);
  context.out(
    `check it: npx trailkeeper evidence verify ${file}${as === undefined ? " --key '<the log's key>'" : ` --as ${as}`}`,
  );
};

const verify = async (pack: string, flags: EvidenceFlags, context: CommandContext): Promise<ExitCode> => {
  const { key = [], keyFile = [], witness = [], witnesses, tlogProof, json } = flags;
  const known = key.length + keyFile.length > 0 ? [] : knownKeys(flags, context.env, context.cwd);
  const each = (flag: string, values: readonly (string | undefined)[]) =>
    values.flatMap((value) => (value === undefined ? [] : [flag, value]));
  const exit = await verifyPack(
    [
      resolve(context.cwd, pack),
      ...each('--key', [...key, ...known]),
      ...each(
        '--key-file',
        keyFile.map((path) => resolve(context.cwd, path)),
      ),
      ...each('--witness', witness),
      ...each('--witnesses', [witnesses]),
      ...each('--tlog-proof', [tlogProof]),
      ...(json ? ['--json'] : []),
    ],
    context.out,
    context.note,
  );
  return exitOf[exit] ?? exitCodes.negative;
};

/** The verifier's own exit codes; what agrees with itself alone is not verified. */
const exitOf: Readonly<Record<number, ExitCode>> = { 0: exitCodes.ok, 1: exitCodes.negative, 2: exitCodes.usage };
