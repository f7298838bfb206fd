/** The master key, which stands above the epoch keys of every instance: its rotation is recorded in each one's own log. */
import { spanOf } from '../../domain/action/entryIds.ts';
import type { KeyActivities } from '../../domain/keys/contract.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { derivedEventId } from '../../store/derived-id.ts';
import type { TrailErrorCode } from '../../trail/errors.ts';
import { keyringsOf, referenceOf } from '../../trail/keys/keyring.ts';
import type { EpochReference } from '../../trail/keys/provider.ts';
import { platformActor } from '../action/entries.ts';
import type { KeyDeps } from './deps.ts';
import { appendKeyEntry } from './recordKeys.ts';

const liveEpochs = async ({ keeper }: KeyDeps): Promise<EpochReference[]> => {
  const references: EpochReference[] = [];
  for await (const { _id, epochs } of keyringsOf(keeper).find().sort({ _id: 1 }))
    for (const epoch of epochs)
      if (epoch.state === 'live' || epoch.state === 'closed') references.push(referenceOf(_id as InstanceId, epoch));
  return references;
};

export const createPrepareMaster =
  (deps: KeyDeps): KeyActivities['prepareMaster'] =>
  async () =>
    deps.provider.master.prepare(await liveEpochs(deps));

/**
 * What a log answers that takes no entry however long one waits, or that is not there: a keyring stays behind where a
 * creation was undone. One of them is not to keep the master key of all the others as it is.
 */
const lasting: ReadonlySet<unknown> = new Set<TrailErrorCode>([
  'LOG_CLOSED',
  'LOG_FORKED',
  'LOG_BEHIND_ANCHOR',
  'LOG_INCONSISTENT',
  'FORMAT_UNKNOWN',
  'NOT_FOUND',
]);

const lastingCodeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && lasting.has(error.code) ? String(error.code) : undefined;

/** Ids come from the rotation and the instance, so that a second execution makes no second entry. */
export const createRecordMaster =
  ({ open, keeper }: KeyDeps): KeyActivities['recordMaster'] =>
  async ({ rotation, from, to, nowMs }) => {
    const instances = await keyringsOf(keeper)
      .find({}, { projection: { _id: 1 } })
      .sort({ _id: 1 })
      .toArray();
    const passedOver = new Map<string, number>();
    const record = async (_id: string): Promise<void> => {
      const id = derivedEventId(nowMs, `master\n${rotation}\n${_id}`);
      const change = { change: 'key.rotate' as const, key: 'master' as const, from, to };
      await appendKeyEntry(await open(_id as InstanceId), {
        id,
        correlationId: rotation.replaceAll('-', '') as never,
        spanId: spanOf(id),
        emitter: { id: `platform/keys/${id}`, sequence: 1 },
        eventTime: new Date(nowMs).toISOString(),
        system: 'trailkeeper',
        actor: platformActor,
        action: change.change,
        phase: 'outcome',
        outcome: 'success',
        control: change,
      });
    };
    for (const { _id } of instances) {
      try {
        await record(_id);
      } catch (error) {
        const code = lastingCodeOf(error);
        if (code === undefined) throw error;
        passedOver.set(code, (passedOver.get(code) ?? 0) + 1);
      }
    }
    const counts = [...passedOver].map(([code, count]) => `${code} ${count}`);
    const recorded = instances.length - [...passedOver.values()].reduce((sum, count) => sum + count, 0);
    return { instances: recorded, ...(counts.length > 0 && { passedOver: counts.join(', ') }) };
  };

export const createCompleteMaster =
  (deps: KeyDeps): KeyActivities['completeMaster'] =>
  async () =>
    deps.provider.master.complete(await liveEpochs(deps));
