/** The witnesses of the instance: set by a control entry, and how far each has come. */
import { witnessUrlProblem } from '../../schema/witnessUrl.ts';
import { configurationProblem } from '../../store/witnesses.ts';
import type { WitnessesState } from '../../trail/witness/witnessed.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { recordControl } from './controlEntries.ts';

export interface ConfigureWitnessesInput {
  readonly witnesses: readonly { readonly vkey: string; readonly url: string }[];
  readonly quorum: number;
  readonly withinMs: number;
}

const addressed = (url: string, position: number): string => {
  const normal = url.replace(/\/+$/, '');
  const problem = witnessUrlProblem(normal);
  if (problem !== undefined) throw new ApiError('BAD_INPUT', `witnesses.${position}.url: ${problem}`);
  return normal;
};

/** Refused before anything is recorded where it could not come into force. */
export const configureWitnesses = async (
  ctx: OperationContext,
  { witnesses, quorum, withinMs }: ConfigureWitnessesInput,
): Promise<{ witnesses: number; quorum: number; index: number }> => {
  const change = {
    change: 'witness.configure' as const,
    witnesses: witnesses.map(({ vkey, url }, position) => ({ vkey: vkey.trim(), url: addressed(url, position) })),
    threshold: quorum,
    withinMs,
  };
  const problem = configurationProblem(change);
  if (problem !== undefined) throw new ApiError('BAD_INPUT', problem);
  const index = await recordControl(ctx, change, []);
  return { witnesses: witnesses.length, quorum, index };
};

export const witnessesView = ({ policy, witnesses, size, cosigned, quorumSize }: WitnessesState) => ({
  quorum: policy.quorum.threshold,
  withinMs: policy.withinMs,
  index: policy.index,
  size,
  cosigned,
  quorumSize,
  witnesses: witnesses.map(({ name, vkey, url, last, contradiction }) => ({
    name,
    vkey,
    url,
    size: last?.size ?? null,
    time: last ? new Date(last.timeS * 1000).toISOString() : null,
    contradiction:
      contradiction === undefined || contradiction.kind === 'agrees'
        ? null
        : { kind: contradiction.kind, size: contradiction.size, since: contradiction.at.toISOString() },
  })),
});
