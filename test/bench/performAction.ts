/** A guarded action whose vendor answers at once, against a bare workflow with as many activities. */
import { randomUUID } from 'node:crypto';
import { createActivities } from '../../activities/createActivities.ts';
import type { OperationContext, Services } from '../../api/context.ts';
import { performAction as perform } from '../../api/operations/actions.ts';
import { openRun } from '../../api/operations/runs.ts';
import { taskQueues } from '../../domain/action/contract.ts';
import type { PrincipalId } from '../../schema/ids.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { actionInstance, temporalKeys } from '../../stack/temporal/instances.ts';
import { createToolCatalogue } from '../../stack/temporal/toolCatalogue.ts';
import { startWorkers } from '../../stack/temporal/workers.ts';
import { openControlState } from '../../store/control-state.ts';
import { openIdentities } from '../../store/identities.ts';
import { listKeys } from '../../store/key-states.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { Recorder } from '../../trail/recorder.ts';
import type { Benchmark } from './benchmark.ts';
import type { Environment } from './environment.ts';
import { holdContest, quantile, timeMs, type Measured, type Metric } from './harness.ts';
import { instantConnector, instantRegistry, instantTool } from './instantConnector.ts';
import { agent, provisionedInstance, user, type Provisioned } from './provisioned.ts';

const sizes = { small: 20, full: 40 } as const;
/** decide, attempt, read back. */
const activitiesOfAction = 3;

const metrics: readonly Metric[] = [
  { name: 'p50Ms', unit: 'ms', better: 'lower' },
  { name: 'p95Ms', unit: 'ms', better: 'lower' },
];

const repeated = async (times: number, work: () => Promise<unknown>): Promise<Measured> => {
  const taken: number[] = [];
  for (let time = 0; time < times; time += 1) taken.push(await timeMs(work));
  return { p50Ms: quantile(taken, 0.5), p95Ms: quantile(taken, 0.95) };
};

/** Workers and client of one process, with the instance's trail opened once for each of the two, as in production. */
async function workplace(environment: Environment, { at, trail }: Provisioned) {
  const { address } = environment.temporal;
  const temporalAt = { address, namespace: environment.temporal.namespace };
  const keys = temporalKeys(at.clients.appender, at.keys);
  const own = actionInstance({
    trail: await at.open(),
    instance: at.instance,
    keys: at.keys,
    reader: at.clients.reader,
  });
  let carriedOut = 0;
  const activities = createActivities({
    open: async () => own,
    tools: instantRegistry,
    onDefect: (tool, error) => console.error(`${tool}:`, error),
    nowMs: Date.now,
  });
  const counted = Object.fromEntries(
    Object.entries(activities).map(([name, carryOut]) => [
      name,
      (input: never) => {
        carriedOut += 1;
        return (carryOut as (given: never) => Promise<unknown>)(input);
      },
    ]),
  );
  const workers = await startWorkers({
    ...temporalAt,
    keys,
    activities: { ...counted, nothing: async (reference: string) => reference },
    onError: (activity, error) => console.error(`${activity}:`, error),
    graceMs: 1000,
    workflowsPath: new URL('workflows.ts', import.meta.url).pathname,
  });
  const temporal = createTemporalClient(temporalAt, keys);
  const services: Services = {
    instances: () => Promise.resolve([]),
    open: async () => opened,
    temporal,
    tools: createToolCatalogue([instantConnector]),
    nowMs: Date.now,
  };
  const opened = {
    trail,
    control: openControlState(at.clients.reader, at.instance),
    keys: () => listKeys(at.clients.reader, at.instance),
    identities: openIdentities(at.clients.reader, at.instance, new Secrets(at.instance, at.keys, at.clients.reader)),
    recorder: new Recorder(trail.writer, `platform/api/${randomUUID()}`),
    controlRecorder: new Recorder(trail.writer, `platform/control/${randomUUID()}`),
  };
  const context: OperationContext = {
    caller: { instance: at.instance, principal: agent as PrincipalId, kind: 'agent', role: 'agent', token: 'agent' },
    services,
    instance: opened,
  };
  return {
    temporal,
    context,
    carriedOut: () => carriedOut,
    close: async () => {
      await workers.stop();
      await temporal.connection.close();
    },
  };
}

export const performAction: Benchmark = {
  name: 'perform-action',
  title: `A guarded action, without the vendor's time, against a bare workflow of ${activitiesOfAction} activities`,
  async run(environment) {
    const times = sizes[environment.extent.scale];
    const provisioned = await provisionedInstance(environment, 'actions');
    const { temporal, context, carriedOut, close } = await workplace(environment, provisioned);
    const { instance } = provisioned.at;
    const actOnce = async (runId: Awaited<ReturnType<typeof openRun>>['runId']) => {
      const before = carriedOut();
      const { state } = await perform(context, { runId, tool: instantTool, params: { note: 'n-1', text: 'new text' } });
      if (state !== 'SUCCEEDED') throw new Error(`an action of the benchmark ended as ${state}`);
      if (carriedOut() - before !== activitiesOfAction)
        throw new Error(`a guarded action took ${carriedOut() - before} activities, not ${activitiesOfAction}`);
    };
    const comparisons = await holdContest(
      {
        title: 'one at a time',
        metrics,
        make: () => openRun(context, { purpose: 'benchmark', onBehalfOf: user as PrincipalId }),
        baseline: {
          name: 'bare workflow',
          measure: () =>
            repeated(times, () =>
              temporal.workflow.execute('bare', {
                workflowId: `${instance}/bare/${randomUUID()}`,
                taskQueue: taskQueues.actions,
                args: [activitiesOfAction],
              }),
            ),
        },
        subjects: [{ name: 'performAction', measure: ({ runId }) => repeated(times, () => actOnce(runId)) }],
      },
      environment.extent,
    );
    await close();
    await provisioned.tails.stop();
    await provisioned.at.close();
    return { comparisons, conditions: { actionsARound: times, activities: activitiesOfAction } };
  },
};
