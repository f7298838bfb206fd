/** Handing a run over to a person. */
import type { EventId, PrincipalId, RunId } from '../../schema/ids.ts';
import { ApiError, notFound } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { findIntent } from './intents.ts';
import { findClosing, findRun } from './runLookup.ts';

export interface HandOffInput {
  readonly runId: RunId;
  readonly to: PrincipalId;
  readonly reason: string;
  readonly action?: EventId;
}

/** Recorded as `handoff.request`; it is an observation, since what comes of it is the person's. */
export const handOff = async (
  ctx: OperationContext,
  { runId, to, reason, action }: HandOffInput,
): Promise<{ id: EventId; index: number }> => {
  const { caller, instance } = ctx;
  const run = await findRun(ctx, runId);
  if (caller.role === 'agent' && run.agent !== caller.principal)
    throw new ApiError('FORBIDDEN', 'runId: an agent hands over its own runs only');
  if (await findClosing(ctx, runId)) throw new ApiError('RUN_CLOSED', 'the run is closed; open a new one');
  const person = await instance.control.principal(to);
  if (person?.kind !== 'human' || person.disabled)
    throw new ApiError('BAD_INPUT', 'to: not a registered person of this instance');
  const intent = action && (await findIntent(ctx, action)).entry;
  if (intent && intent.runId !== runId) throw notFound('action');
  const { opening } = run;
  const [receipt] = await instance.recorder.record([
    {
      correlationId: run.correlationId,
      parentSpanId: (intent ?? opening).spanId,
      causedBy: (intent ?? opening).id,
      runId,
      ...(opening.sessionId && { sessionId: opening.sessionId }),
      actor: { principal: caller.principal, kind: caller.kind },
      ...(opening.onBehalfOf && { onBehalfOf: opening.onBehalfOf }),
      action: 'handoff.request',
      phase: 'observation',
      system: 'trailkeeper',
      parts: [{ name: 'handoff', content: { to, reason } }],
    },
  ]);
  return { id: receipt!.id, index: receipt!.index };
};
