/**
 * Fetching an evidence pack that was asked for. The log decides that it is fetched once: every process that tries derives
 * the same event id, and the log takes it from the first alone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { exportPack, type PackMade } from '../../trail/evidence/exportPack.ts';
import { countEvents } from '../../trail/evidence/scopeEvents.ts';
import type { EventId } from '../../schema/ids.ts';
import { derivedEventId } from '../../store/derived-id.ts';
import type { Receipt } from '../../trail/append-item.ts';
import { newSpanId } from '../../trail/recorder.ts';
import type { Trail } from '../../trail/trail.ts';
import { toApiError } from '../errorMapping.ts';
import { ApiError } from '../errors.ts';
import { isOwnChain } from '../reads/ownOnly.ts';
import { appendOwn } from '../operations/append.ts';
import type { RequestContext } from '../requestContext.ts';
import { fetchMs, findAsked, type AskedEvidence } from './asking.ts';
import { announcedKey } from './evidenceKey.ts';
import { exportEvent, type ExportEventFields } from './exportEvents.ts';

export interface Fetch {
  readonly id: EventId;
  readonly entries: number;
  /** Pieces of the archive. */
  readonly pieces: AsyncGenerator<Buffer, void, undefined>;
  /** To be told once all of it was handed over (undefined), or why not. Never rejects. */
  ended(error: unknown): Promise<void>;
}

/**
 * Throws NOT_FOUND, LINK_SPENT where it was fetched or its time is over, and whatever the log says where it can't be
 * recorded: nothing is read then.
 */
export const beginFetch = async (context: RequestContext, id: EventId, ownOnly: boolean): Promise<Fetch> => {
  const { instance, caller, services } = context;
  const { reader, origin, signing } = instance.trail;
  const asked = await findAsked(context, id);
  if (services.nowMs() > asked.askedAt.getTime() + fetchMs)
    throw new ApiError('LINK_SPENT', 'the time to fetch this pack is over; ask for another');
  if (ownOnly && asked.scope.kind === 'range')
    throw new ApiError(
      'FORBIDDEN',
      'the caller sees only what it did itself by now; ask for a run or a correlation id',
    );
  // What made the chain its own may not be in the record that a restored log has now; its right to all may be gone.
  if (
    ownOnly &&
    asked.scope.kind !== 'range' &&
    !(await isOwnChain(reader, asked.scope.correlationId, caller.principal))
  )
    throw new ApiError('FORBIDDEN', 'the caller sees only what it did itself by now, and this chain is not its own');
  const { signer, announcedAt } = await announcedKey(instance);
  const maySee = await context.maySee();
  const claim = await claimed(context, asked);
  const record = recorderOf(context, asked);
  let made: PackMade | undefined;
  const ended = async (error: unknown): Promise<void> => {
    const failed = { outcome: 'failure', error: reasonOf(error) } as const;
    const last: Recorded =
      error === undefined ? { phase: 'verified', outcome: 'success' } : { phase: 'verified', ...failed };
    try {
      if (made) await record(4, last);
      else await record(3, { phase: 'outcome', ...failed });
    } catch {
      // Nobody waits for it, and nobody can be told: the number that is missing in the log says so.
    }
  };
  try {
    const { checkpoint, cosigned } = await checkpoints(instance.trail);
    const entries = await countEvents(reader, asked.scope, checkpoint.size);
    await context.reads.exported(id, entries);
    const pieces = exportPack(
      reader,
      {
        kind: 'export',
        id,
        scope: asked.scope,
        askedBy: { principal: caller.principal, kind: caller.kind, role: asked.role },
        askedAt: asked.askedAt,
        madeAt: new Date(services.nowMs()),
        checkpoint,
        ...(cosigned && { cosigned }),
        origin,
        vkeys: (await signing.keys()).map(({ vkey }) => vkey),
        signer,
        announcedAt,
        custody: [asked.event.index, claim],
        maySee,
      },
      {
        async beforeManifest(one) {
          await record(3, madeFields(one));
          made = one;
        },
      },
    );
    return { id, entries, pieces, ended };
  } catch (error) {
    await ended(error);
    throw error;
  }
};

/**
 * The newest checkpoint, which covers what was just recorded of this export, with the cosignatures that it has by now; and
 * the newest that enough witnesses have cosigned, where that is an earlier one: they take their time.
 */
const checkpoints = async ({ reader, witnessed }: Trail) => {
  const newest = (await reader.openedCheckpoint())!;
  const { size, root } = newest;
  const [{ note, cosignatures }, vouched] = await Promise.all([witnessed.cosigned(newest), witnessed.vouchedFor()]);
  const isEarlier = vouched && vouched.size < size && vouched.cosignatures.length > cosignatures.length;
  return { checkpoint: { size, root, note }, cosigned: isEarlier ? vouched : undefined };
};

/** Index of the event that this fetch alone could append. */
const claimed = async (context: RequestContext, { event }: AskedEvidence): Promise<number> => {
  const { id } = event.entry;
  try {
    const receipt = await recorderOf(context, { event })(2, { phase: 'attempt' });
    return receipt.index;
  } catch (error) {
    // Each fetch has a span of its own, so another one's event is another event.
    if (error instanceof ApiError && (error.code === 'ID_CONFLICT' || error.code === 'SEQUENCE_CONFLICT'))
      throw new ApiError('LINK_SPENT', `the pack ${id} was fetched; ask for another`);
    throw error;
  }
};

type Recorded = Pick<ExportEventFields, 'phase' | 'outcome' | 'error' | 'count' | 'digest' | 'part'>;

/** Appends one of the export's events; where the log is away, the same event again, so that it never stands there twice. */
const recorderOf = (context: RequestContext, { event }: Pick<AskedEvidence, 'event'>) => {
  const exportId = event.entry.id;
  const spanId = newSpanId();
  return async (sequence: 2 | 3 | 4, fields: Recorded): Promise<Receipt> => {
    const seed = `evidence.export\n${exportId}\n${sequence}`;
    const id = derivedEventId(Date.parse(event.entry.receivedTime), seed);
    const eventTime = new Date(context.services.nowMs());
    const wanted = exportEvent(context.caller, exportId, { id, spanId, sequence, eventTime, ...fields });
    for (let attempt = 1; ; attempt += 1)
      try {
        return await appendOwn(context, wanted);
      } catch (error) {
        if (!toApiError(error).retryable || attempt === attempts) throw error;
        await delay(retryMs * attempt);
      }
  };
};

const madeFields = ({ manifestSha256, summary, members, sizeBytes }: PackMade): Recorded => ({
  phase: 'outcome',
  outcome: 'success',
  count: summary.entries,
  digest: manifestSha256,
  part: {
    name: 'result',
    content: { manifest: manifestSha256, members, sizeBytes, entries: summary.entries, parts: { ...summary.parts } },
  },
});

const reasonOf = (error: unknown): NonNullable<ExportEventFields['error']> => {
  if (isCancelled(error)) return 'CANCELLED';
  return toApiError(error).retryable ? 'UNAVAILABLE' : 'INTERNAL';
};

/** The caller went away, took nothing for too long, or the process stops. */
export const isCancelled = (error: unknown): boolean =>
  error instanceof Error &&
  (error.name === 'AbortError' || ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'));

const attempts = 4;
const retryMs = 250;
