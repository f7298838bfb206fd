/** An instance with people, an agent and a connector, and the workers that carry its runs. */
import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { WorkflowBundle } from '@temporalio/worker';
import { inject } from 'vitest';
import { createActivities } from '../../activities/createActivities.ts';
import type { ActionInstance } from '../../activities/action/deps.ts';
import type { Caller, OperationContext, Services } from '../../api/context.ts';
import { openRun } from '../../api/operations/runs.ts';
import type { TaskQueues } from '../../domain/action/contract.ts';
import type { ActionDurations } from '../../domain/action/durations.ts';
import { defaultPolicies } from '../../schema/cedar/texts.ts';
import type { ControlChange, Role } from '../../schema/control.ts';
import type { EventId, PrincipalId, RunId } from '../../schema/ids.ts';
import type { Action, ActorKind } from '../../schema/taxonomy.ts';
import { stageCredential } from '../../store/connector-credentials.ts';
import { openIdentities } from '../../store/identities.ts';
import { listKeys } from '../../store/key-states.ts';
import { policyDigest } from '../../store/policies.ts';
import type { TemporalKeys } from '../../stack/temporal/codec.ts';
import { createTemporalClient } from '../../stack/temporal/client.ts';
import { actionInstance, temporalKeys } from '../../stack/temporal/instances.ts';
import { createToolCatalogue } from '../../stack/temporal/toolCatalogue.ts';
import { bundleWorkflows, startWorkers, type RunningWorkers } from '../../stack/temporal/workers.ts';
import { Recorder } from '../../trail/recorder.ts';
import { seeAll, type IndexedEvent } from '../../trail/reader.ts';
import { createControlTail } from '../../store/applier.ts';
import { createIndexTail } from '../../trail/tails/index-tail.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import { testNamespace } from '../setup/servers.ts';
import { openTestControl, type Part, type TestControl } from '../store/control.ts';
import { notebook, notebookRegistry } from './notebook.ts';
import { startVendor, type TestVendor } from './vendor.ts';

export const durations: ActionDurations = {
  approvalMs: 60_000,
  callMs: 1000,
  claimMs: 3000,
  skewMs: 100,
  heartbeatMs: 1500,
  attemptsMax: 3,
  retryMs: 50,
  retryMsMax: 200,
  settleMs: [50, 50, 50],
  readBacksMax: 2,
};

export const agent = 'sales-agent' as PrincipalId;
export const user = 'dana' as PrincipalId;

/** The owner stands before what it owns. */
const people: Record<string, { kind: ActorKind; role: Role }> = {
  priya: { kind: 'human', role: 'approver' },
  pavel: { kind: 'human', role: 'approver' },
  omar: { kind: 'human', role: 'operator' },
  [agent]: { kind: 'agent', role: 'agent' },
  rosa: { kind: 'human', role: 'responder' },
  ines: { kind: 'human', role: 'admin' },
  [user]: { kind: 'human', role: 'approver' },
};

const actions: Action[] = ['record.read', 'record.update', 'record.create', 'record.delete', 'message.send'];

export interface TestRuns {
  readonly control: TestControl;
  readonly vendor: TestVendor;
  readonly temporal: Client;
  /** A Temporal that nothing answers for. */
  readonly unreachable: Client;
  readonly services: Services;
  readonly bundle: WorkflowBundle;
  /** What somebody can do who has a token in their name. */
  as(principal: string): OperationContext;
  /** Starts workers in this process. */
  work(changes?: WorkChanges): Promise<RunningWorkers>;
  /** Opens a run of the agent. */
  run(
    changes?: Partial<Parameters<typeof openRun>[1]>,
    services?: Services,
  ): Promise<{ runId: RunId; correlationId: string }>;
  /** Entries of one action, with their payload. */
  entries(action: EventId): Promise<IndexedEvent[]>;
  /** Entries with their payload, by any filter of the index. */
  find(filter: Record<string, unknown>): Promise<IndexedEvent[]>;
  change(change: ControlChange, part?: Part): Promise<number>;
  /** Configures the connector anew, as it was disabled or not. */
  configureConnector(): Promise<void>;
  close(): Promise<void>;
}

export interface WorkChanges {
  readonly instance?: (usual: ActionInstance) => ActionInstance;
  readonly workflowsPath?: string;
  readonly activities?: object;
  readonly taskQueues?: TaskQueues;
  readonly only?: keyof TaskQueues;
}

/** One bundle for all tests of a file. */
let bundling: Promise<WorkflowBundle> | undefined;

export const openTestRuns = async (
  options: {
    durations?: Partial<ActionDurations>;
    admissionsPerHistory?: number;
    payloadKeys?: TemporalKeys;
  } = {},
): Promise<TestRuns> => {
  bundling ??= bundleWorkflows();
  const bundle = await bundling;
  const control = await openTestControl();
  const { instance, trail, database, keys, state } = control;
  const vendor = await startVendor();
  const runner = new TailRunner({
    owner: `test-${randomBytes(4).toString('hex')}`,
    tails: [
      createIndexTail(database.clients.projector),
      createControlTail(database.clients.applier, keys, async () => undefined),
    ],
    onError: (name, _instance, error) => console.error(`tail ${name}:`, error),
  });
  runner.follow(instance);

  const change: TestRuns['change'] = async (made, part) => {
    const index = await control.record(made, part);
    await state.waitApplied(index, 30_000);
    const reason = await state.voidReason(index);
    if (reason) throw new Error(`${made.change} is void: ${reason.message}`);
    return index;
  };
  for (const [principal, { kind, role }] of Object.entries(people)) {
    const ofAgent = kind === 'agent' && { owner: 'omar', declared: [{ system: 'hubspot' as const, actions }] };
    await change({ change: 'principal.register', principal, kind, roles: [role], ...ofAgent });
  }
  await change(
    { change: 'policy.publish', policySet: 'default', version: 1, digest: policyDigest(defaultPolicies) },
    { name: 'policies', content: { text: defaultPolicies } },
  );
  await change({
    change: 'delegation.grant',
    delegation: 'dana-to-agent',
    from: user,
    to: agent,
    scope: [{ system: 'hubspot', actions }],
    expires: new Date(Date.now() + 86_400_000).toISOString(),
  });
  let credentialVersion = 0;
  const configureConnector = async (): Promise<void> => {
    credentialVersion += 1;
    const name = { instance, system: 'hubspot', credential: 'notebook', version: credentialVersion } as const;
    const staged = await stageCredential(database.clients.applier, control.secrets, name, {
      secret: 'credential-canary',
    });
    const configured = { credential: name.credential, credentialVersion: staged.version, principals: [agent] };
    await change(
      { change: 'connector.configure', system: 'hubspot', ...configured },
      { name: 'connection', content: { baseUrl: vendor.url, sealed: staged.sealed } },
    );
  };
  await configureConnector();

  const temporalAddress = { address: inject('temporalAddress'), namespace: testNamespace };
  const isOwn = (name: string) => Promise.resolve(name === instance);
  const payloadKeys = options.payloadKeys ?? temporalKeys(database.clients.appender, keys, isOwn);
  const temporal = createTemporalClient(temporalAddress, payloadKeys);
  const unreachable = createTemporalClient({ address: '127.0.0.1:1', namespace: testNamespace }, payloadKeys);
  const id = randomBytes(4).toString('hex');
  const taskQueues = {
    actions: `actions-${id}`,
    runs: `runs-${id}`,
    maintenance: `maintenance-${id}`,
    provisioning: `provisioning-${id}`,
  };
  const services: Services = {
    open: () => Promise.resolve(opened),
    instances: () => Promise.resolve([]),
    temporal,
    tools: createToolCatalogue([notebook]),
    actionDurations: { ...durations, ...options.durations },
    ...(options.admissionsPerHistory && { admissionsPerHistory: options.admissionsPerHistory }),
    taskQueues,
    nowMs: Date.now,
  };
  const opened = {
    trail,
    control: state,
    keys: () => listKeys(database.clients.reader, instance),
    identities: openIdentities(database.clients.reader, instance, control.secrets),
    recorder: new Recorder(trail.writer, `platform/api/${id}`),
    controlRecorder: new Recorder(trail.writer, `platform/control/${id}`),
  };
  const running: RunningWorkers[] = [];

  const test: TestRuns = {
    control,
    vendor,
    temporal,
    unreachable,
    services,
    bundle,
    as(principal) {
      const { kind, role } = people[principal]!;
      const caller: Caller = { instance, principal: principal as PrincipalId, kind, role, token: principal };
      return { caller, services, instance: opened };
    },
    async work({ instance: changed, workflowsPath, activities, taskQueues: queues = taskQueues, only } = {}) {
      const usual = actionInstance({ trail, instance, keys, reader: database.clients.reader });
      const own = changed ? changed(usual) : usual;
      const workers = await startWorkers({
        ...temporalAddress,
        keys: payloadKeys,
        activities: {
          ...createActivities({
            open: () => Promise.resolve(own),
            tools: notebookRegistry,
            onDefect: (tool, error) => console.error(`${tool}:`, error),
            nowMs: Date.now,
          }),
          ...activities,
        },
        onError: (activity, error) => {
          if (process.env['TEST_VERBOSE']) console.error(`${activity}:`, error);
        },
        graceMs: 1000,
        taskQueues: queues,
        ...(only && { only }),
        ...(workflowsPath ? { workflowsPath } : { bundle }),
      });
      running.push(workers);
      return workers;
    },
    run: (changes = {}, own = services) =>
      openRun({ ...test.as(agent), services: own }, { purpose: 'testing', onBehalfOf: user, ...changes }),
    async find(filter) {
      await trail.reader.fresh(30_000);
      return trail.reader.withParts(await trail.reader.find(filter, { limit: 10_000 }), seeAll);
    },
    entries: (action) => test.find({ emitter: `platform/action/${action}` }),
    change,
    configureConnector,
    async close() {
      await Promise.allSettled(running.map((workers) => workers.stop()));
      await temporal.connection.close();
      await runner.stop();
      await vendor.close();
      await control.close();
    },
  };
  return test;
};
