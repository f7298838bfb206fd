/**
 * Asking for an evidence pack. The event that records it is all that is kept of it: the pack is made while it is fetched,
 * by whichever process is asked for it, from what this event says.
 */
import { z } from 'zod';
import type { EvidenceScope } from '../../domain/evidence/scope.ts';
import { spanOf } from '../../domain/action/entryIds.ts';
import { correlationIdPattern, eventIdPattern, eventIdTimeMs } from '../../schema/ids.ts';
import type { CorrelationId, EventId, RunId } from '../../schema/ids.ts';
import { countEvents } from '../../trail/evidence/scopeEvents.ts';
import { newEventId } from '../../trail/recorder.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';
import { ApiError, notFound } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { appendOwn } from '../operations/append.ts';
import { latestCheckpoint } from '../operations/proofs.ts';
import { absent, extentOf } from '../operations/query.ts';
import { findRun } from '../operations/runLookup.ts';
import { isOwnChain } from '../reads/ownOnly.ts';
import { exportEvent } from './exportEvents.ts';

/** How long what was asked for can be fetched. */
export const fetchMs = 10 * 60_000;

export interface EvidenceInput {
  readonly id?: EventId;
  readonly run?: RunId;
  readonly correlationId?: CorrelationId;
  readonly range?: { readonly from?: number; readonly to?: number | null };
}

export interface EvidenceAsked {
  readonly id: EventId;
  readonly url: string;
  readonly expires: string;
  readonly entries: number;
  readonly vkey: string;
}

/** Throws BAD_INPUT, NOT_FOUND (also for a chain that the caller may not see), and ID_CONFLICT for an id that was used. */
export const askForEvidence = async (
  ctx: OperationContext,
  input: EvidenceInput,
  {
    ownOnly,
    publicUrl,
    entriesMax,
  }: { readonly ownOnly: boolean; readonly publicUrl: string; readonly entriesMax: number },
): Promise<EvidenceAsked> => {
  const { caller, instance, services } = ctx;
  const { reader, vkey } = instance.trail;
  const answer = async (id: EventId, scope: EvidenceScope, askedMs: number): Promise<EvidenceAsked> => {
    const { size } = await latestCheckpoint(instance.trail);
    const entries = await countEvents(reader, scope, size);
    if (entries > entriesMax)
      throw new ApiError(
        'QUERY_TOO_COSTLY',
        `${entries} entries are more than the ${entriesMax} that a pack holds; ask for several ranges`,
      );
    return {
      id,
      url: `${publicUrl}/evidence/${id}`,
      expires: new Date(askedMs + fetchMs).toISOString(),
      entries,
      vkey,
    };
  };
  const before = input.id && (await askedBefore(ctx, input.id, input));
  if (before) return answer(before.event.entry.id, before.scope, before.askedAt.getTime());
  const scope = await scopeOf(ctx, input, ownOnly);
  const id = input.id ?? newEventId();
  const asked = await answer(id, scope, services.nowMs());
  await appendOwn(
    ctx,
    exportEvent(caller, id, {
      id,
      spanId: spanOf(id),
      sequence: 1,
      // The same for a repetition, so that the log takes it for one.
      eventTime: new Date(eventIdTimeMs(id)),
      phase: 'intent',
      part: { name: 'request', content: { scope: { ...scope }, role: caller.role, token: caller.token } },
    }),
  );
  return asked;
};

/** The same call again is answered with what was asked for then; an end of the range that was left open was settled then. */
const askedBefore = async (
  ctx: OperationContext,
  id: EventId,
  { run, correlationId, range }: EvidenceInput,
): Promise<AskedEvidence | undefined> => {
  const { reader } = ctx.instance.trail;
  // What was acknowledged a moment ago may not be in the index yet: it would be asked for anew, with another end.
  const extent = await extentOf(reader);
  const event = await reader.byId(id);
  if (!event && extent.behind > 0) throw absent('evidence pack', extent);
  if (!event) return undefined;
  const asked = await findAsked(ctx, id).catch((error: unknown) => {
    if (error instanceof ApiError && error.code === 'NOT_FOUND') throw conflict(id);
    throw error;
  });
  const { scope } = asked;
  const isSame =
    (scope.kind === 'run' && scope.runId === run) ||
    (scope.kind === 'correlation' && scope.correlationId === correlationId) ||
    (scope.kind === 'range' &&
      range !== undefined &&
      scope.from === (range.from ?? 0) &&
      (range.to ?? scope.to) === scope.to);
  if (!isSame) throw conflict(id);
  return asked;
};

const conflict = (id: EventId): ApiError =>
  new ApiError('ID_CONFLICT', `the id ${id} stands in the log for something else; take a new one`);

const scopeOf = async (ctx: OperationContext, input: EvidenceInput, ownOnly: boolean): Promise<EvidenceScope> => {
  const { run, correlationId, range } = input;
  if ([run, correlationId, range].filter((one) => one !== undefined).length !== 1)
    throw new ApiError('BAD_INPUT', 'say what the evidence is about: one of run, correlationId and range');
  if (range !== undefined) {
    if (ownOnly)
      throw new ApiError(
        'FORBIDDEN',
        'range: the caller sees only what it did itself; ask for a run or a correlation id',
      );
    return rangeOf(ctx, range);
  }
  const { reader } = ctx.instance.trail;
  const scope: EvidenceScope =
    run !== undefined
      ? { kind: 'run', runId: run, correlationId: (await findRun(ctx, run)).correlationId }
      : { kind: 'correlation', correlationId: correlationId! };
  const extent = await extentOf(reader);
  const [first] = await reader.find({ corr: scope.correlationId }, { limit: 1 });
  if (!first || (ownOnly && !(await isOwnChain(reader, scope.correlationId, ctx.caller.principal))))
    throw absent('correlation id', extent);
  return scope;
};

const rangeOf = async (
  { instance }: OperationContext,
  { from = 0, to }: NonNullable<EvidenceInput['range']>,
): Promise<EvidenceScope> => {
  const { size } = await latestCheckpoint(instance.trail);
  const last = to ?? size - 1;
  if (from > last || last >= size)
    throw new ApiError('BAD_INPUT', `range: from 0 to ${size - 1}, the last entry that there is, and from before to`);
  return { kind: 'range', from, to: last };
};

const correlation = z.string().regex(correlationIdPattern);
const index = z.int().nonnegative();
const requestPart = z.object({
  scope: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('run'), runId: z.string().regex(eventIdPattern), correlationId: correlation }),
    z.object({ kind: z.literal('correlation'), correlationId: correlation }),
    z.object({ kind: z.literal('range'), from: index, to: index }),
  ]),
  role: z.string(),
});

export interface AskedEvidence {
  readonly event: IndexedEvent;
  readonly scope: EvidenceScope;
  /** Of the token that it was asked for with. */
  readonly role: string;
  readonly askedAt: Date;
}

/** Throws NOT_FOUND: the same for what is absent, another's, or another instance's. */
export const findAsked = async ({ caller, instance }: OperationContext, id: EventId): Promise<AskedEvidence> => {
  const { reader } = instance.trail;
  const event = await findWaiting(reader, id);
  const { entry } = event;
  const isAsked = entry.action === 'evidence.export' && entry.phase === 'intent' && entry.provenance === 'platform';
  if (!isAsked || entry.actor.principal !== caller.principal) throw notFound('evidence pack');
  // What is to be exported, read by the platform for itself.
  const [opened] = await reader.withParts([event], (_entry, { name }) => name === 'request');
  const part = opened?.parts?.['request'];
  if (part?.state !== 'present') throw new ApiError('CONTENT_ERASED', 'what was asked for was erased; ask again');
  const { scope, role } = requestPart.parse(part.content);
  return { event, scope: scope as EvidenceScope, role, askedAt: new Date(entry.receivedTime) };
};

const findWaiting = async (reader: TrailReader, id: EventId): Promise<IndexedEvent> => {
  const known = await reader.byId(id);
  if (known) return known;
  const extent = await extentOf(reader);
  const event = await reader.byId(id);
  if (!event) throw absent('evidence pack', extent);
  return event;
};
