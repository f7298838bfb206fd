/** What of another instance the canary tries to get hold of: ids that are really there, read by the platform itself. */
import type { CorrelationId, EventId, InstanceId } from '../../schema/ids.ts';
import type { Trail } from '../../trail/trail.ts';

export interface Target {
  readonly instance: InstanceId;
  /** Last part of its origin. */
  readonly logId: string;
  readonly event: EventId;
  readonly correlationId: CorrelationId;
  readonly emitter: string;
}

const lookedAt = 200;
const drawsMax = 20;

/**
 * Undefined for a log with nothing in it that the canary has not, too: a process that serves both is the same emitter in
 * both, and the entries of a probe have one correlation id. `pick`: from 0 to below its argument.
 */
export const targetOf = async (
  { instance, origin, reader }: Pick<Trail, 'instance' | 'origin' | 'reader'>,
  canary: Pick<Trail, 'reader'>,
  pick: (below: number) => number,
): Promise<Target | undefined> => {
  const found = await reader.findLatest({}, lookedAt);
  for (let draw = 0; draw < drawsMax && found.length > 0; draw += 1) {
    const { id, correlationId, emitter } = found[pick(found.length)]!.entry;
    const shared = await canary.reader.find({ $or: [{ corr: correlationId }, { emitter: emitter.id }] }, { limit: 1 });
    if (shared.length === 0)
      return { instance, logId: origin.split('/').at(-1)!, event: id, correlationId, emitter: emitter.id };
  }
  return undefined;
};
