/**
 * A worker in a process of its own, which stops dead at one place of an action: it kills itself, or freezes. What it is
 * told comes in the environment; it says in a file when it works, when it stops, and when it went on.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { MongoClient } from 'mongodb';
import { createActivities } from '../../activities/createActivities.ts';
import type { Tool } from '../../activities/connectors/connector.ts';
import type { TaskQueues } from '../../domain/action/contract.ts';
import type { EventInput } from '../../schema/event.ts';
import type { InstanceId } from '../../schema/ids.ts';
import { actionInstance, temporalKeys } from '../../stack/temporal/instances.ts';
import { startWorkers } from '../../stack/temporal/workers.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail } from '../../trail/trail.ts';
import { intercepted } from '../runs/intercept.ts';
import { notebook } from '../runs/notebook.ts';

/** Where it stops: around an append of entries of this phase and action, or around the vendor's call or read-back. */
export type StopAt =
  | { readonly around: 'append'; readonly phase: string; readonly action?: string; readonly when: 'before' | 'after' }
  | { readonly around: 'call' | 'verify' | 'before'; readonly when: 'before' | 'after' };

export interface ActionWorkerSetup {
  readonly instance: InstanceId;
  readonly origin: string;
  readonly keysFolder: string;
  readonly uris: Readonly<Record<'appender' | 'anchor' | 'reader', string>>;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly taskQueues: TaskQueues;
  /** File of the workflow bundle. */
  readonly bundle: string;
  readonly stopAt: StopAt;
  readonly how: 'kill' | 'freeze';
  /** Gets a line when it works, and when it stops. */
  readonly report: string;
}

const stopDead = (setup: ActionWorkerSetup): Promise<never> => {
  appendFileSync(setup.report, 'stopped\n');
  process.kill(process.pid, setup.how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  // A signal to oneself is delivered before the call returns, or soon after.
  return new Promise(() => undefined);
};

const run = async (setup: ActionWorkerSetup): Promise<void> => {
  const { instance, stopAt, uris, how } = setup;
  const clients = {
    appender: await MongoClient.connect(uris.appender),
    anchor: await MongoClient.connect(uris.anchor),
    reader: await MongoClient.connect(uris.reader),
  };
  const keys = await openFileKeyProvider(setup.keysFolder);
  const trail = await openTrail(instance, setup.origin, { clients, keys });
  let stopped = false;
  /** Frozen, it goes on where it was when it is let. */
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    const stopping = stopDead(setup);
    if (how === 'kill') await stopping;
  };
  const concerns = (events: readonly EventInput[]): boolean =>
    stopAt.around === 'append' &&
    events.some(
      ({ phase, action }) => phase === stopAt.phase && (stopAt.action === undefined || stopAt.action === action),
    );
  const own = intercepted(actionInstance({ instance, trail, keys, reader: clients.reader }), {
    before: async (events) => (concerns(events) && stopAt.when === 'before' ? stop() : undefined),
    after: async (events) => {
      if (stopped && events.some(({ phase }) => phase === 'outcome')) appendFileSync(setup.report, 'went on\n');
      if (concerns(events) && stopAt.when === 'after') await stop();
    },
  });
  const stopping = (tool: Tool<never>): Tool<never> => {
    if (stopAt.around === 'append') return tool;
    const usual = tool[stopAt.around] as ((...given: unknown[]) => Promise<unknown>) | undefined;
    if (!usual) return tool;
    return {
      ...tool,
      [stopAt.around]: async (...given: unknown[]) => {
        if (stopAt.when === 'before') await stop();
        const result = await usual(...given);
        if (stopAt.when === 'after') await stop();
        return result;
      },
    };
  };
  const tools = new Map(notebook.tools.map((tool) => [tool.name, stopping(tool)]));
  await startWorkers({
    ...setup.temporal,
    keys: temporalKeys(clients.appender, keys, (name) => Promise.resolve(name === instance)),
    activities: createActivities({
      open: () => Promise.resolve(own),
      tools: { toolNamed: (name) => tools.get(name), connectorOf: () => notebook },
      onDefect: (tool, error) => console.error(`${tool}:`, error),
      nowMs: Date.now,
    }),
    onError: () => undefined,
    taskQueues: setup.taskQueues,
    bundle: { code: readFileSync(setup.bundle, 'utf8') },
    only: 'actions',
    cachedWorkflowsMax: 0,
  });
  appendFileSync(setup.report, 'working\n');
};

if (import.meta.main) await run(JSON.parse(process.env['ACTION_WORKER'] ?? '') as ActionWorkerSetup);
