/** Lets a test step in where an activity appends to the log. */
import type { ActionInstance } from '../../activities/action/deps.ts';
import type { EventInput, PartContent } from '../../schema/event.ts';
import type { AppendResult } from '../../trail/append-item.ts';
import type { TrailReader } from '../../trail/reader.ts';
import type { LogWriter } from '../../trail/writer.ts';

export interface Interception {
  readonly before?: (events: readonly EventInput[]) => Promise<void>;
  readonly after?: (events: readonly EventInput[], results: readonly AppendResult[]) => Promise<void>;
  /** Stands in for the parameters of intents, as they would be read. */
  readonly parameters?: () => PartContent | undefined;
}

export const intercepted = (instance: ActionInstance, { before, after, parameters }: Interception): ActionInstance => {
  const append: LogWriter['append'] = async (events, provenance, conditions) => {
    await before?.(events);
    const results = await instance.trail.writer.append(events, provenance, conditions);
    await after?.(events, results);
    return results;
  };
  const { reader } = instance.trail;
  const withParts: TrailReader['withParts'] = async (events, maySee) => {
    const open = await reader.withParts(events, maySee);
    const instead = parameters?.();
    if (!instead) return open;
    return open.map((event) =>
      event.parts?.['parameters'] ? { ...event, parts: { ...event.parts, parameters: instead } } : event,
    );
  };
  const changed = new Proxy(reader, {
    get(target, name) {
      if (name === 'withParts') return withParts;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...given: unknown[]) => unknown).bind(target) : value;
    },
  });
  return { ...instance, trail: { reader: changed, writer: { append } as LogWriter } };
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
