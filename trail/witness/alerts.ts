/** What the log records about its witnesses: the quorum missed and reached again, a witness that contradicts and that agrees again. */
import type { EventDraft } from '../recorder.ts';
import { newCorrelationId } from '../recorder.ts';
import type { PrincipalId } from '../../schema/ids.ts';

export type WitnessAlert =
  | {
      readonly kind: 'quorum';
      /** Whether so many witnesses cosigned in time again. */
      readonly reached: boolean;
      /** The newest checkpoint that has the quorum, 0 for none; and the newest of all. */
      readonly cosignedSize: number;
      readonly size: number;
      readonly threshold: number;
      readonly withinMs: number;
      /** Names of those that did not cosign the newest, and why, as far as it is known. */
      readonly missing: readonly { readonly witness: string; readonly failure: string }[];
    }
  | {
      readonly kind: 'contradiction';
      /** Name of the witness. */
      readonly witness: string;
      /** `agrees`: it took back what it stated before. */
      readonly statement: 'ahead' | 'inconsistent' | 'agrees';
      readonly witnessSize: number;
      readonly size: number;
    };

const actor = { principal: 'platform' as PrincipalId, kind: 'platform' as const };

/** The event of an alert, for the recorder. */
export const alertEvent = (alert: WitnessAlert): EventDraft => {
  const { kind, ...detail } = alert;
  const good = alert.kind === 'quorum' ? alert.reached : alert.statement === 'agrees';
  return {
    correlationId: newCorrelationId(),
    actor,
    action: kind === 'quorum' ? 'witness.quorum' : 'witness.contradict',
    phase: 'outcome',
    outcome: good ? 'success' : 'failure',
    system: 'trailkeeper',
    ...(!good && { error: { code: kind === 'quorum' ? ('TIMEOUT' as const) : ('CONFLICT' as const) } }),
    parts: [{ name: 'witness', content: detail as never }],
  };
};
