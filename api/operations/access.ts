/** The kill flag. */
import type { OperationContext } from '../context.ts';
import { recordControl } from './controlEntries.ts';

export interface InstanceState {
  readonly suspended: boolean;
  readonly index: number;
}

const setTo = async (ctx: OperationContext, suspended: boolean, reason: string): Promise<InstanceState> => {
  const change = suspended ? ('instance.suspend' as const) : ('instance.resume' as const);
  const index = await recordControl(ctx, { change }, [{ name: 'reason', content: { reason } }]);
  return { suspended, index };
};

/** From the moment it is recorded no action reaches a target: each attempt is appended only under the state it knows. */
export const suspendInstance = (ctx: OperationContext, reason: string): Promise<InstanceState> =>
  setTo(ctx, true, reason);
export const resumeInstance = (ctx: OperationContext, reason: string): Promise<InstanceState> =>
  setTo(ctx, false, reason);
