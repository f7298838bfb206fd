/** Witnesses that a checkpoint must be cosigned by, as they are given on the command line. */
import { cosignaturesOn, parseCosignerVkey } from '../../domain/tree/cosignature.ts';
import { TreeError } from '../../domain/tree/errors.ts';
import { cosigners, quorumProblem, type Quorum } from '../../domain/tree/witnessPolicy.ts';
import { CliError, exitCodes } from '../exit.ts';

/** Undefined where no witness is given. Throws CliError `usage` where they can't be used. */
export const quorumOf = (vkeys: readonly string[], threshold: string | undefined): Quorum | undefined => {
  if (vkeys.length === 0) {
    if (threshold !== undefined) throw new CliError(exitCodes.usage, '--quorum needs --witness');
    return undefined;
  }
  try {
    const witnesses = vkeys.map((vkey) => parseCosignerVkey(vkey.trim()));
    const quorum = { witnesses, threshold: threshold === undefined ? witnesses.length : Number(threshold) };
    const problem = quorumProblem(quorum);
    if (problem !== undefined) throw new CliError(exitCodes.usage, problem);
    return quorum;
  } catch (error) {
    if (error instanceof TreeError)
      throw new CliError(exitCodes.usage, `a witness key can't be used: ${error.message}`);
    throw error;
  }
};

/** Why the checkpoint does not have the quorum; undefined where it has. */
export const missingQuorum = (checkpoint: Uint8Array, quorum: Quorum): string | undefined => {
  let count: number;
  try {
    count = cosigners(quorum, cosignaturesOn(checkpoint, quorum.witnesses));
  } catch (error) {
    if (error instanceof TreeError) return error.message;
    throw error;
  }
  if (count >= quorum.threshold) return undefined;
  return `the checkpoint is not witnessed: ${count} of ${quorum.witnesses.length} witnesses cosigned it, ${quorum.threshold} must`;
};
