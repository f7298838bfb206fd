/** The witnesses of the instance: which there are, how far they have come, and setting them. */
import { collect } from '../collect.ts';
import type { CliCommand, Flags } from '../command.ts';
import { CliError, exitCodes } from '../exit.ts';
import { printJson } from '../print.ts';

const witnessesDocument = `query Witnesses {
  witnesses {
    quorum withinMs index size cosigned quorumSize
    witnesses { name vkey url size time contradiction { kind size since } }
  }
}`;
const configureDocument = `mutation ConfigureWitnesses($input: ConfigureWitnessesInput!) {
  configureWitnesses(input: $input) { witnesses quorum index }
}`;

interface Witness {
  readonly name: string;
  readonly url: string;
  readonly size: number | null;
  readonly time: string | null;
  readonly contradiction: { readonly kind: string; readonly size: number; readonly since: string } | null;
}

interface Witnesses {
  readonly quorum: number;
  readonly withinMs: number;
  readonly size: number;
  readonly cosigned: number;
  readonly quorumSize: number;
  readonly witnesses: readonly Witness[];
}

const line = ({ name, url, size, time, contradiction }: Witness): string => {
  if (contradiction)
    return `${name} (${url}): CONTRADICTS since ${contradiction.since}: ${contradiction.kind}, its log has ${contradiction.size} entries`;
  return size === null ? `${name} (${url}): nothing yet` : `${name} (${url}): ${size} entries at ${time}`;
};

export const witnesses: CliCommand<Flags> = {
  usage: 'witnesses',
  summary: 'show the witnesses of the instance, and what each cosigned last',
  help: `Exit code 0 where the newest checkpoint or one before it has the quorum and nobody contradicts, 1 where not.

  npx trailkeeper witnesses --as acme/auditor`,
  documents: [witnessesDocument],
  async run(_args, { json }, context) {
    const { witnesses: state } = await context.client().ask<{ witnesses: Witnesses | null }>(witnessesDocument);
    if (json) printJson(context, state);
    else if (!state) context.note('the instance has no witnesses');
    else {
      for (const witness of state.witnesses) context.out(line(witness));
      context.out(
        `${state.quorum} of ${state.witnesses.length} within ${state.withinMs / 1000} s: the newest checkpoint has ${state.size} entries, ` +
          `${state.cosigned} cosigned it; ${state.quorumSize === 0 ? 'none has the quorum' : `${state.quorumSize} entries have the quorum`}`,
      );
    }
    const good = state && state.quorumSize > 0 && state.witnesses.every(({ contradiction }) => !contradiction);
    return good ? exitCodes.ok : exitCodes.negative;
  },
};

interface ConfigureFlags extends Flags {
  readonly witness?: string[];
  readonly quorum?: string;
  readonly within: string;
  readonly none?: boolean;
}

const parsed = (text: string): { vkey: string; url: string } => {
  const [vkey, url, ...rest] = text.trim().split(/\s+/);
  if (vkey === undefined || url === undefined || rest.length > 0)
    throw new CliError(exitCodes.usage, 'a witness is written as "<verifier key> <url>"');
  return { vkey, url };
};

const number = (text: string, what: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new CliError(exitCodes.usage, `${what} must be a number`);
  return value;
};

export const configureWitnesses: CliCommand<ConfigureFlags> = {
  usage: 'configure-witnesses',
  summary: 'set the witnesses of the instance, and how many of them must cosign in time',
  help: `Replaces what was set before; --none ends it. docs/witnesses.md says how a witness is run.

  npx trailkeeper configure-witnesses --witness "<verifier key> https://witness.example" --quorum 1 --as acme/admin`,
  documents: [configureDocument],
  options: (command) =>
    command
      .option('--witness <witness>', '"<verifier key> <submission prefix>"; may be repeated', collect)
      .option('--quorum <k>', 'so many must cosign; by default all')
      .option('--within <seconds>', 'how long a new entry may wait for them', '60')
      .option('--none', 'have no witnesses any more'),
  async run(_args, flags, context) {
    const given = (flags.witness ?? []).map(parsed);
    if ((given.length === 0) !== (flags.none === true))
      throw new CliError(exitCodes.usage, 'give --witness once or more, or --none');
    const input = {
      witnesses: given,
      quorum: flags.quorum === undefined ? given.length : number(flags.quorum, '--quorum'),
      withinMs: number(flags.within, '--within') * 1000,
    };
    const { configureWitnesses: set } = await context
      .client()
      .ask<{ configureWitnesses: { witnesses: number; quorum: number; index: number } }>(configureDocument, { input });
    if (flags.json) printJson(context, set);
    else context.out(`${set.quorum} of ${set.witnesses} witnesses must cosign since #${set.index}`);
    return exitCodes.ok;
  },
};
