/** Lets a test step in where an activity appends to the log. */
import type { ActionInstance } from '../../activities/action/deps.ts';
import type { EventInput } from '../../schema/event.ts';
import type { AppendResult } from '../../trail/append-item.ts';
import type { LogWriter } from '../../trail/writer.ts';

export interface Interception {
  readonly before?: (events: readonly EventInput[]) => Promise<void>;
  readonly after?: (events: readonly EventInput[], results: readonly AppendResult[]) => Promise<void>;
}

export const intercepted = (instance: ActionInstance, { before, after }: Interception): ActionInstance => {
  const append: LogWriter['append'] = async (events, provenance, conditions) => {
    await before?.(events);
    const results = await instance.trail.writer.append(events, provenance, conditions);
    await after?.(events, results);
    return results;
  };
  return { ...instance, trail: { reader: instance.trail.reader, writer: { append } as LogWriter } };
};

/** What these entries are about, for example `attempt` or `outcome`. */
export const isPhase =
  (phase: EventInput['phase'], action?: EventInput['action']) =>
  (events: readonly EventInput[]): boolean =>
    events.some((event) => event.phase === phase && (action === undefined || event.action === action));

/** Does it the first time only. */
export const once = (work: () => Promise<unknown>): (() => Promise<void>) => {
  let done = false;
  return async () => {
    if (done) return;
    done = true;
    await work();
  };
};
