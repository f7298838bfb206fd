/** Checks an offline proof: no network, no credentials, nothing but files and keys known beforehand. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { collect } from '../collect.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { parseTlogProof, verifyTlogProof } from '../../domain/tree/tlogProof.ts';
import type { NoteKey } from '../../domain/tree/note.ts';
import type { CliCommand, CommandContext } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { keysFrom, type KeyFlags } from '../log/keys.ts';
import { missingQuorum, quorumOf } from '../log/quorum.ts';
import { printJson } from '../print.ts';

interface CheckProofFlags extends KeyFlags {
  readonly witness?: string[];
  readonly quorum?: string;
}

type Verdict =
  | {
      readonly outcome: 'verified';
      readonly origin: string;
      readonly index: number;
      readonly size: number;
      readonly root: string;
    }
  | { readonly outcome: 'refuted'; readonly reason: string };

const read = (path: string, { cwd }: CommandContext): Uint8Array => {
  try {
    return readFileSync(resolve(cwd, path));
  } catch {
    throw new CliError(exitCodes.usage, `${path} can't be read`);
  }
};

export const checkProof: CliCommand<CheckProofFlags> = {
  usage: 'check-proof <proof> <entry>',
  summary: 'check offline that an entry is in the log, by a proof that "prove --out" wrote',
  help: `Needs the log's verifier key, got by another way than the proof, and nothing else. With --witness the checkpoint must be
cosigned by so many of these witnesses as --quorum says. Exit code 0 where it holds, 1 where it does not.

  npx trailkeeper check-proof entry.tlog-proof entry.json --key-file acme.vkey`,
  documents: [],
  options: (command) =>
    command
      .option('--key <vkey>', 'verifier key of the log; may be repeated where it changed its key', collect)
      .option('--key-file <file>', 'file that holds it, or them, one a line; may be repeated', collect)
      .option('--witness <vkey>', 'verifier key of a witness; may be repeated', collect)
      .option('--quorum <k>', 'so many witnesses must have cosigned; by default all'),
  run([proofPath, entryPath], flags, context) {
    const keys = keysFrom(flags, context);
    const quorum = quorumOf(flags.witness ?? [], flags.quorum);
    const [proof, entry] = [read(proofPath!, context), read(entryPath!, context)];
    const verdict = judge(proof, entry, keys, quorum);
    if (flags.json) printJson(context, verdict);
    else if (verdict.outcome === 'verified')
      context.out(
        `verified: index=${verdict.index} origin=${verdict.origin} size=${verdict.size} root=${verdict.root}`,
      );
    else context.out(`refuted: ${verdict.reason}`);
    return Promise.resolve(verdict.outcome === 'verified' ? exitCodes.ok : exitCodes.negative);
  },
};

const judge = (
  bytes: Uint8Array,
  entry: Uint8Array,
  keys: readonly [NoteKey, ...NoteKey[]],
  quorum: ReturnType<typeof quorumOf>,
): Verdict => {
  try {
    const proof = parseTlogProof(bytes);
    const origin = keys[0].name;
    const checkpoint = verifyTlogProof(proof, entry, { keys, origin });
    if (!checkpoint) return { outcome: 'refuted', reason: `the entry is not in the log at index ${proof.index}` };
    const missing = quorum && missingQuorum(proof.checkpoint, quorum);
    if (missing !== undefined) return { outcome: 'refuted', reason: missing };
    const { size, root } = checkpoint;
    return { outcome: 'verified', origin, index: proof.index, size, root: root.toString('base64') };
  } catch (error) {
    if (error instanceof TreeError) return { outcome: 'refuted', reason: error.message };
    throw error;
  }
};
