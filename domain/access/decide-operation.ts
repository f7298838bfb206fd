/** Whether a caller of the API may use one of its operations, by the role of its token. */
import type { Role } from '../../schema/control.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { Operation } from '../../schema/operations.ts';
import type { ActorKind } from '../../schema/taxonomy.ts';
import { platformInstance } from '../instances/names.ts';
import { toDecision, type Decision } from './decide-action.ts';
import { evaluate } from './evaluate.ts';
import type { PolicySet } from './policy-set.ts';

export interface OperationCaller {
  readonly instance: InstanceId;
  readonly principal: string;
  readonly kind: ActorKind;
  /** Of the token that the caller came with. */
  readonly role: Role;
}

export interface OperationDecision extends Decision {
  /** True where the caller may see only what it did itself. */
  readonly ownOnly: boolean;
}

/** `controlEpoch`: log index of the last control entry that `policySet` knows. */
export const decideOperation = (
  { instance, principal, kind, role }: OperationCaller,
  operation: Operation,
  policySet: PolicySet | undefined,
  controlEpoch: number,
): OperationDecision => {
  // A caller is authenticated, which nobody is who was disabled.
  const caller = { principal, kind, roles: [role], disabled: false };
  const decision = evaluate(
    { ask: 'operate', principal: caller, operation, platform: instance === platformInstance },
    policySet,
  );
  return { ...toDecision('caller', decision, policySet, controlEpoch), ownOnly: decision.ownOnly };
};
