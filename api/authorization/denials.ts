/**
 * Denied calls in the log. The first of a caller, operation and policy version in a minute is recorded before it is
 * answered, and the others of that minute as a number when it is over: a caller that keeps trying can't fill the log.
 */
import type { OperationDecision } from '../../domain/access/decide-operation.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { Operation } from '../../schema/operations.ts';
import { newCorrelationId } from '../../trail/recorder.ts';
import type { Caller, InstanceServices } from '../context.ts';
import { MinuteTally } from '../reads/minuteTally.ts';

interface Denial {
  readonly instance: InstanceServices;
  readonly caller: Caller;
  readonly operation: Operation;
  readonly decision: OperationDecision;
}

export class Denials {
  readonly #tally: MinuteTally<Denial, { calls: number }>;

  constructor(nowMs: () => number) {
    this.#tally = new MinuteTally({ nowMs, record: recordDenial });
  }

  async record(
    instance: InstanceServices,
    caller: Caller,
    operation: Operation,
    decision: OperationDecision,
  ): Promise<void> {
    const { policySet, policyVersion } = decision.authorization;
    const key = keyOf(caller.instance, caller, operation, `${policySet}@${policyVersion}`);
    await this.#tally.note(key, { instance, caller, operation, decision }, { calls: 1 });
  }

  sweep(): Promise<void> {
    return this.#tally.sweep();
  }

  close(): Promise<void> {
    return this.#tally.close();
  }
}

const keyOf = (instance: InstanceId, { principal, token }: Caller, ...rest: readonly string[]): string =>
  JSON.stringify([instance, principal, token, ...rest]);

const recordDenial = async (
  { instance, caller, operation, decision }: Denial,
  { calls }: { calls: number },
): Promise<void> => {
  await instance.recorder.record([
    {
      correlationId: newCorrelationId(),
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'authorization.decide',
      phase: 'decision',
      outcome: 'denied',
      system: 'trailkeeper',
      authorization: decision.authorization,
      error: { code: 'POLICY_DENIED' },
      count: calls,
      parts: [{ name: 'operation', content: { operation, role: caller.role, token: caller.token } }],
    },
  ]);
};
