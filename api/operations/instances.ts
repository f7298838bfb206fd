/** Instances, as operators of the platform see them. Permission was asked before: platform.cedar forbids it to all others. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { taskQueues } from '../../domain/action/contract.ts';
import {
  creationDurations,
  creationEmitter,
  creationWorkflowId,
  type CreateInstanceInput as WorkflowInput,
} from '../../domain/instances/contract.ts';
import { judgeName } from '../../domain/instances/names.ts';
import {
  creationCorrelation,
  creationResult,
  instanceMember,
  instancePart,
  membersMax,
  problemOfMembers,
  type InstanceMember,
} from '../../domain/instances/request.ts';
import { eventIdTimeMs, type EventId, type InstanceId, type SpanId } from '../../schema/ids.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import { creationEnd } from '../../store/creation-ids.ts';
import { derivedSpanId } from '../../store/derived-id.ts';
import type { InstanceRecord } from '../../store/instances.ts';
import type { createInstance as createInstanceWorkflow } from '../../workflows/instances.ts';
import { ApiError } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { withTrace } from '../trace.ts';
import { appendOwn } from './append.ts';
import { askWorkflow } from './workflowCalls.ts';
import { waitForResult } from './workflowResult.ts';

const waitMsDefault = 30_000;
const waitMsMax = 60_000;

export interface CreateInstanceInput {
  readonly id: EventId;
  readonly instance: string;
  readonly members: readonly InstanceMember[];
  readonly waitMs?: number;
}

export interface InstanceCreationView {
  readonly id: EventId;
  readonly instance: string;
  readonly state: 'CREATING' | 'ACTIVE' | 'UNDONE';
  readonly error?: ErrorCode;
  readonly origin?: string;
  readonly vkey?: string;
  readonly checkpoint?: string;
}

/**
 * The request is recorded, then the workflow started under its id. After a crash in between, with Temporal away, or with
 * the workflow ended from outside, the same call goes on where it stopped. Throws BAD_INPUT, INSTANCE_NAME_RESERVED,
 * ID_CONFLICT where the id stands for something else.
 */
export const createInstance = async (
  ctx: OperationContext,
  input: CreateInstanceInput,
): Promise<InstanceCreationView> => {
  const { instance, members } = checked(input);
  const waitMs = Math.min(Math.max(input.waitMs ?? waitMsDefault, 0), waitMsMax);
  await recordRequest(ctx, input.id, instance, members);
  const ended = await endOf(ctx, input.id, instance);
  if (ended) return ended;
  await start(ctx, input.id, instance);
  await waitForResult(ctx, creationWorkflowId(ctx.caller.instance, input.id), waitMs);
  return (await endOf(ctx, input.id, instance)) ?? { id: input.id, instance, state: 'CREATING' };
};

const checked = ({ instance: name, members: given }: CreateInstanceInput) => {
  const judged = judgeName(name);
  if (judged.state === 'malformed')
    throw new ApiError(
      'BAD_INPUT',
      'instance: 1 to 40 of a-z, 0-9 and hyphens, beginning with a letter, make the name of an instance',
    );
  if (judged.state === 'reserved')
    throw new ApiError('INSTANCE_NAME_RESERVED', 'instance: the platform keeps this name for itself; choose another');
  const members = given.map((member) => instanceMember.safeParse(member));
  const wrong = members.findIndex(({ success }) => !success);
  if (wrong >= 0) throw new ApiError('BAD_INPUT', `members[${wrong}]: does not fit; look at its fields`);
  if (members.length === 0 || members.length > membersMax)
    throw new ApiError('BAD_INPUT', `members: from 1 to ${membersMax}`);
  const parsed = members.flatMap(({ data }) => (data ? [data] : []));
  const problem = problemOfMembers(parsed);
  if (problem !== undefined) throw new ApiError('BAD_INPUT', `members: ${problem}`);
  return { instance: judged.instance, members: parsed };
};

/** Of the request's own entry. The same call again makes the same entry, and so is answered as a duplicate. */
const spanOf = (request: EventId): SpanId => derivedSpanId(`instance.create\n${request}`);

const recordRequest = async (
  ctx: OperationContext,
  id: EventId,
  instance: InstanceId,
  members: readonly InstanceMember[],
): Promise<void> => {
  const { caller } = ctx;
  await appendOwn(ctx, {
    id,
    correlationId: creationCorrelation(id),
    spanId: spanOf(id),
    emitter: { id: creationEmitter(id), sequence: 1 },
    eventTime: new Date(eventIdTimeMs(id)).toISOString(),
    actor: { principal: caller.principal, kind: caller.kind },
    action: 'instance.create',
    phase: 'intent',
    system: 'trailkeeper',
    parts: [{ name: instancePart, content: { instance, members: members.map((member) => ({ ...member })) } }],
  });
};

/** What the log says of how it ended; undefined while it does not. */
const endOf = async (
  { instance: { trail } }: OperationContext,
  id: EventId,
  instance: InstanceId,
): Promise<InstanceCreationView | undefined> => {
  await trail.reader.fresh(2000);
  const found = await trail.reader.byId(creationEnd(id).id);
  if (!found) return undefined;
  if (found.entry.outcome !== 'success')
    return { id, instance, state: 'UNDONE', ...(found.entry.error && { error: found.entry.error.code }) };
  const [opened] = await trail.reader.withParts([found], (_entry, { name }) => name === instancePart);
  const part = opened?.parts?.[instancePart];
  const made = creationResult.safeParse(part?.state === 'present' ? part.content : undefined);
  return { ...made.data, id, instance, state: 'ACTIVE' };
};

const start = async (ctx: OperationContext, request: EventId, instance: InstanceId): Promise<void> => {
  const { caller, services } = ctx;
  const input: WorkflowInput = {
    platform: caller.instance,
    request,
    instance,
    durations: { ...creationDurations, ...services.creationDurations },
  };
  const trace = { correlationId: creationCorrelation(request), spanId: spanOf(request) };
  try {
    await withTrace(trace, () =>
      askWorkflow(ctx, () =>
        services.temporal.workflow.start<typeof createInstanceWorkflow>('createInstance', {
          workflowId: creationWorkflowId(caller.instance, request),
          taskQueue: (services.taskQueues ?? taskQueues).provisioning,
          args: [input],
          // One that was terminated is gone on with; one that ended by itself has its end in the log.
          workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      ),
    );
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
};

const pageMax = 500;

export interface InstancesView {
  readonly instances: readonly InstanceRecord[];
  readonly next: string | null;
}

export const instances = async (
  { services }: OperationContext,
  { first, after }: { readonly first: number; readonly after?: string | null | undefined },
): Promise<InstancesView> => {
  if (!Number.isInteger(first) || first < 1 || first > pageMax)
    throw new ApiError('BAD_INPUT', `first: from 1 to ${pageMax}`);
  const found = await services.instances(after ?? '', first + 1);
  const page = found.slice(0, first);
  return { instances: page, next: found.length > first ? page.at(-1)!.instance : null };
};
