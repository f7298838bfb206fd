/** Keys, as callers see them: their states from the control state, what goes on from Temporal. */
import { WorkflowNotFoundError } from '@temporalio/client';
import { taskQueues } from '../../domain/action/contract.ts';
import {
  destructionId,
  masterRotationId,
  rotationId,
  type RotatedKey,
  type RotationProgress,
} from '../../domain/keys/contract.ts';
import type { EpochKeyState, SigningKeyState } from '../../store/key-states.ts';
import type {
  destroyEpochKey,
  rotateKey as rotateKeyWorkflow,
  rotateMasterKey as rotateMasterKeyWorkflow,
} from '../../workflows/keys.ts';
import { rotationProgressQuery } from '../../workflows/keyMessages.ts';
import { ApiError, notFound } from '../errors.ts';
import type { OperationContext } from '../context.ts';
import { askWorkflow } from './workflowCalls.ts';

export interface KeyRotationView {
  readonly key: RotatedKey;
  readonly stage: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly moved: number;
}

export interface InstanceKeysView {
  readonly provider: string | null;
  readonly epochs: readonly (Omit<EpochKeyState, 'made' | 'until'> & { made: string; until: string | null })[];
  readonly signing: readonly SigningKeyState[];
  readonly rotations: readonly KeyRotationView[];
}

const dayMinutes = 1440;
const overlapMinutesMax = 30 * dayMinutes;

const viewOf = ({ rewrapped, ...progress }: RotationProgress): KeyRotationView => ({ ...progress, moved: rewrapped });

export const showKeys = async (ctx: OperationContext): Promise<InstanceKeysView> => {
  const { provider, epochs, signing } = await ctx.instance.keys();
  const rotations = await Promise.all((['epoch', 'signing'] as const).map((key) => running(ctx, key)));
  return {
    provider,
    epochs: epochs.map(({ made, until, ...rest }) => ({
      ...rest,
      made: made.toISOString(),
      until: until?.toISOString() ?? null,
    })),
    signing,
    rotations: rotations.flatMap((rotation) => rotation ?? []),
  };
};

/** Undefined where none goes on, or Temporal can't be asked: the states alone are worth an answer. */
const running = async (ctx: OperationContext, key: RotatedKey): Promise<KeyRotationView | undefined> => {
  const handle = ctx.services.temporal.workflow.getHandle(rotationId(ctx.caller.instance, key));
  try {
    const { status } = await askWorkflow(ctx, () => handle.describe());
    if (status.name !== 'RUNNING') return undefined;
    return viewOf(await askWorkflow(ctx, () => handle.query(rotationProgressQuery)));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    if (error instanceof ApiError && error.code === 'WORKFLOWS_UNAVAILABLE') return undefined;
    throw error;
  }
};

export const rotateKey = async (
  ctx: OperationContext,
  { key, overlapMinutes = dayMinutes }: { readonly key: RotatedKey; readonly overlapMinutes?: number },
): Promise<KeyRotationView> => {
  if (overlapMinutes < 0 || overlapMinutes > overlapMinutesMax)
    throw new ApiError('BAD_INPUT', `input.overlapMinutes must be from 0 to ${overlapMinutesMax}`);
  const { caller, services } = ctx;
  const workflowId = rotationId(caller.instance, key);
  await askWorkflow(ctx, () =>
    services.temporal.workflow.start<typeof rotateKeyWorkflow>('rotateKey', {
      workflowId,
      taskQueue: (services.taskQueues ?? taskQueues).maintenance,
      args: [
        {
          instance: caller.instance,
          key,
          overlapMs: overlapMinutes * 60_000,
          requestedBy: { principal: caller.principal, kind: caller.kind },
        },
      ],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  const handle = services.temporal.workflow.getHandle(workflowId);
  return viewOf(await askWorkflow(ctx, () => handle.query(rotationProgressQuery)));
};

export const rotateMasterKey = async (ctx: OperationContext): Promise<{ readonly begun: boolean }> => {
  const { caller, services } = ctx;
  const requestedBy = { principal: caller.principal, kind: caller.kind };
  await askWorkflow(ctx, () =>
    services.temporal.workflow.start<typeof rotateMasterKeyWorkflow>('rotateMasterKey', {
      workflowId: masterRotationId(caller.instance),
      taskQueue: (services.taskQueues ?? taskQueues).maintenance,
      args: [{ instance: caller.instance, requestedBy }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  return { begun: true };
};

export const destroyKey = async (
  ctx: OperationContext,
  epoch: number,
): Promise<{ readonly epoch: number; readonly begun: boolean }> => {
  const { caller, services, instance } = ctx;
  const found = (await instance.keys()).epochs.find((one) => one.epoch === epoch);
  if (!found) throw notFound('epoch key');
  if (found.current || found.state === 'live' || found.state === 'made')
    throw new ApiError('BAD_INPUT', `${found.id} is ${found.state}: rotate first, only a retired key can be destroyed`);
  if (found.state === 'destroyed') return { epoch, begun: false };
  await askWorkflow(ctx, () =>
    services.temporal.workflow.start<typeof destroyEpochKey>('destroyEpochKey', {
      workflowId: destructionId(caller.instance, epoch),
      taskQueue: (services.taskQueues ?? taskQueues).maintenance,
      args: [{ instance: caller.instance, epoch, requestedBy: { principal: caller.principal, kind: caller.kind } }],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  return { epoch, begun: true };
};
