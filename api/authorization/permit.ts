/**
 * Whether the caller may use an operation: the instance's own policies decide, by the role of the token. A denial is
 * recorded before it is answered.
 */
import { decideOperation, type OperationDecision } from '../../domain/access/decide-operation.ts';
import type { PolicySet } from '../../domain/access/policy-set.ts';
import type { Operation } from '../../schema/operations.ts';
import type { OperationContext } from '../context.ts';
import { ApiError } from '../errors.ts';
import type { Denials } from './denials.ts';

export class Permissions {
  readonly #context: OperationContext;
  readonly #denials: Denials;
  #inForce: Promise<{ policySet: PolicySet | undefined; controlEpoch: number }> | undefined;

  /** For one request: all its operations are decided by the same policies. */
  constructor(context: OperationContext, denials: Denials) {
    this.#context = context;
    this.#denials = denials;
  }

  async decide(operation: Operation): Promise<OperationDecision> {
    this.#inForce ??= this.#load();
    const { policySet, controlEpoch } = await this.#inForce;
    return decideOperation(this.#context.caller, operation, policySet, controlEpoch);
  }

  /** Throws FORBIDDEN where it is denied. `ownOnly`: the caller may see only what it did itself. */
  async require(operation: Operation): Promise<{ readonly ownOnly: boolean }> {
    const decision = await this.decide(operation);
    if (decision.authorization.result === 'allow') return { ownOnly: decision.ownOnly };
    const { caller, instance } = this.#context;
    await this.#denials.record(instance, caller, operation, decision);
    const { policySet, policyVersion } = decision.authorization;
    throw new ApiError(
      'FORBIDDEN',
      `the role ${caller.role} may not use ${operation} (policy set ${policySet}, version ${policyVersion})`,
    );
  }

  /** The epoch first: the policies are then at least as new as it says. */
  async #load() {
    const { control } = this.#context.instance;
    const { epoch } = await control.applied();
    return { policySet: await control.policySet(), controlEpoch: epoch };
  }
}
