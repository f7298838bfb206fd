/** The archive: its state, what the instance demands of it, and going on after a restore. */
import type { PrincipalId } from '../../schema/ids.ts';
import type { ArchiveServices } from '../archiveServices.ts';
import { ApiError, notFound } from '../errors.ts';
import type { InstanceServices, OperationContext } from '../context.ts';
import { recordControl } from './controlEntries.ts';

const archiveOf = ({ archive }: InstanceServices): ArchiveServices => {
  if (!archive) throw notFound('archive');
  return archive;
};

const appliedMs = 10_000;
const reasonMax = 2000;

export interface ArchiveView {
  readonly size: number;
  readonly behind: number;
  readonly lagMs: number;
  readonly acknowledge: 'LOG' | 'ARCHIVE';
  readonly lagMsMax: number | null;
  readonly closed: {
    readonly origin: string;
    readonly size: number;
    readonly knownSize: number | null;
    readonly approvedBy: readonly PrincipalId[];
  } | null;
}

export const archiveState = async ({ instance, services }: OperationContext): Promise<ArchiveView> => {
  const { trail } = instance;
  const archive = archiveOf(instance);
  const [lag, demand, approvedBy] = await Promise.all([
    archive.lag(services.nowMs()),
    archive.demand(),
    archive.approvedBy(),
  ]);
  const { closing } = trail;
  return {
    ...lag,
    acknowledge: demand?.acknowledge === 'archive' ? 'ARCHIVE' : 'LOG',
    lagMsMax: demand?.lagMsMax ?? null,
    closed: closing
      ? {
          origin: closing.origin,
          size: closing.checkpoint.size,
          knownSize: closing.knownSize ?? null,
          approvedBy,
        }
      : null,
  };
};

export const configureArchive = async (
  ctx: OperationContext,
  { acknowledge, lagMsMax }: { readonly acknowledge: 'LOG' | 'ARCHIVE'; readonly lagMsMax: number },
): Promise<ArchiveView> => {
  const demanded = acknowledge === 'ARCHIVE' ? ('archive' as const) : ('log' as const);
  await recordControl(ctx, { change: 'archive.configure', acknowledge: demanded, lagMsMax }, []);
  return archiveState(ctx);
};

export const continueLog = async (
  { caller, instance, services }: OperationContext,
  { size, reason }: { readonly size: number; readonly reason: string },
) => {
  const { closing } = instance.trail;
  if (!closing) throw new ApiError('BAD_INPUT', 'the log is open: there is nothing to approve');
  if (size !== closing.checkpoint.size)
    throw new ApiError(
      'BAD_INPUT',
      `size: ${closing.checkpoint.size} entries were restored; look at them and approve that`,
    );
  if (reason.trim() === '' || reason.length > reasonMax)
    throw new ApiError('BAD_INPUT', `reason: say why, in at most ${reasonMax} characters`);
  const continued = await archiveOf(instance).approve(caller.principal, reason, new Date(services.nowMs()));
  const approvedBy = (continued?.approvals ?? []).map(({ principal }) => principal as PrincipalId);
  if (continued?.state !== 'continued') return { continued: false, approvedBy, origin: null, index: null };
  const { origin, index } = continued;
  await instance.control.waitApplied(index, appliedMs);
  return { continued: true, approvedBy, origin, index };
};
