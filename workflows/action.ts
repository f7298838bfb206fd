/**
 * A guarded action: decided, approved if a policy asks for it, attempted, and read back; each step recorded before the
 * next begins. The workflow makes ids and waits; what is true is what its activities find in the log.
 */
import { allHandlersFinished, condition, proxyActivities, setHandler, sleep } from '@temporalio/workflow';
import { refusalOfDecision, type ApprovalState, type Decision } from '../domain/action/approval.ts';
import type {
  ActionActivities,
  ActionInput,
  ActionReference,
  AttemptResult,
  DecideResult,
  EntrySlot,
  RecordedOutcome,
  SettleInput,
} from '../domain/action/contract.ts';
import { finalFailures } from '../domain/action/contract.ts';
import { beginning, ended, going, inDoubt, type ActionProgress } from '../domain/action/progress.ts';
import { retryDelayMs } from '../domain/action/retry.ts';
import type { EventId } from '../schema/ids.ts';
import type { ErrorCode } from '../schema/taxonomy.ts';
import { EntryNumbers, newEntryId } from './entryNumbers.ts';
import { decideUpdate, progressQuery, settleUpdate } from './messages.ts';
import { refusal } from './refusal.ts';

type Permit = Extract<DecideResult, { kind: 'allowed' }>;
type Recorded = Extract<AttemptResult, { kind: 'recorded' }>;

/** How the action ends; undefined while it goes on. */
type End = { readonly outcome: 'success' | 'denied' | 'failure'; readonly code?: ErrorCode };

export const action = async (input: ActionInput): Promise<ActionProgress> => {
  const guarded = new GuardedAction(input);
  setHandler(progressQuery, () => guarded.progress);
  setHandler(decideUpdate, (decision) => guarded.decide(decision), {
    validator: (decision) => guarded.checkDecision(decision),
  });
  setHandler(settleUpdate, (settlement) => guarded.settle(settlement), {
    validator: (settlement) => guarded.checkSettlement(settlement),
  });
  await guarded.run();
  await condition(allHandlersFinished);
  return guarded.progress;
};

class GuardedAction {
  progress: ActionProgress = beginning;
  readonly #input: ActionInput;
  readonly #reference: ActionReference;
  readonly #activities: ActionActivities;
  readonly #numbers = new EntryNumbers();
  #approval: { readonly entry: EventId; readonly expiresMs: number; readonly decision: Decision } | undefined;
  #decision: Decision | undefined;
  #settlement: SettleInput | undefined;
  /** Set while the outcome of a call is unknown; counts doubts, so that a settlement is of one of them. */
  #doubts = 0;
  #firstFailure: { readonly code?: ErrorCode } = {};

  constructor(input: ActionInput) {
    const { instance, run, intent, intentIndex, parametersDigest, durations } = input;
    this.#input = input;
    this.#reference = { instance, run, intent, intentIndex, parametersDigest };
    this.#activities = proxyActivities<ActionActivities>({
      // Longer than any vendor call, its claim and its recording; a dead worker is noticed by its heartbeat.
      startToCloseTimeout: durations.claimMs + 600_000,
      heartbeatTimeout: durations.heartbeatMs,
      // The trail or MongoDB may be away for long: nothing is lost by waiting, and nothing half done.
      retry: {
        initialInterval: 200,
        backoffCoefficient: 2,
        maximumInterval: 30_000,
        nonRetryableErrorTypes: Object.values(finalFailures),
      },
    });
  }

  async run(): Promise<void> {
    const end = await this.#carryOut();
    this.progress = ended(this.progress, end.outcome, end.code);
  }

  async #carryOut(): Promise<End> {
    const permit = await this.#authorize();
    if ('outcome' in permit) return permit;
    let current = permit;
    for (let step = 0; step < permit.steps; step += 1) {
      const result = await this.#carryOutStep(step, current);
      if ('outcome' in result) return result;
      current = result.permit;
    }
    // Some objects may have been changed: `objects` says how many.
    return this.progress.objects.failed > 0 ? { outcome: 'failure', ...this.#firstFailure } : { outcome: 'success' };
  }

  /** Decision and, where the policies ask for it, approval. What a person approved is not asked for again. */
  async #authorize(): Promise<Permit | End> {
    this.progress = going(this.progress, 'DECIDING');
    const decided = await this.#activities.decide({
      ...this.#reference,
      agentSlot: this.#numbers.slot(),
      userSlot: this.#numbers.slot(1),
      ...(this.#approval && { approval: { entry: this.#approval.entry, by: this.#approval.decision.by } }),
    });
    this.#numbers.usedUpTo(decided.sequence);
    if (decided.kind === 'refused') return this.#finish(decided.outcome, decided.code);
    if (!decided.approvalRequired || this.#approval) return decided;
    const denied = await this.#awaitApproval(decided.decisions[0]!);
    return denied ?? decided;
  }

  async #awaitApproval(causedBy: EventId): Promise<End | undefined> {
    const { approvalMs } = this.#input.durations;
    const expiresMs = Date.now() + approvalMs;
    await this.#activities.requestApproval({ ...this.#reference, slot: this.#numbers.take(), causedBy, expiresMs });
    this.#setApproval({ state: 'PENDING', expiresMs }, 'AWAITING_APPROVAL');
    await condition(() => this.#decision !== undefined, Math.max(1, expiresMs - Date.now()));
    const decision = this.#decision;
    if (decision === undefined) {
      this.#setApproval({ state: 'EXPIRED', expiresMs });
      return this.#finish('denied', 'APPROVAL_EXPIRED');
    }
    const slot = this.#numbers.take();
    await this.#activities.recordApproval({ ...this.#reference, slot, decision });
    this.#approval = { entry: slot.id, expiresMs, decision };
    const state = decision.decision === 'APPROVE' ? 'APPROVED' : 'DENIED';
    this.#setApproval({ state, expiresMs, decidedBy: decision.by }, 'DECIDING');
    return state === 'DENIED' ? this.#finish('denied', 'APPROVAL_DENIED') : undefined;
  }

  #setApproval(approval: ApprovalState, state = this.progress.state): void {
    this.progress = { ...this.progress, approval, state };
  }

  /** One vendor call with as many attempts as it takes. */
  async #carryOutStep(step: number, given: Permit): Promise<{ readonly permit: Permit } | End> {
    let permit = given;
    for (let attempt = 1; ;) {
      this.progress = going(this.progress, 'ATTEMPTING');
      const slot = this.#numbers.slot();
      const result = await this.#attempt(step, attempt, slot, permit);
      switch (result.kind) {
        case 'refused':
          return this.#finish(result.outcome, result.code);
        case 'stale': {
          const again = await this.#authorize();
          if ('outcome' in again) return again;
          permit = again;
          break;
        }
        case 'recorded': {
          this.#numbers.usedUpTo(result.sequence);
          this.progress = { ...this.progress, attempts: this.progress.attempts + 1 };
          if (result.outcome === 'retry') {
            await sleep(retryDelayMs(attempt, result.retryAfterMs, this.#input.durations));
            attempt += 1;
            break;
          }
          const end = await this.#conclude(step, slot.id, result);
          return end ?? { permit };
        }
      }
    }
  }

  /** The same attempt again until it is certain what stands of it. */
  async #attempt(
    step: number,
    attempt: number,
    slot: EntrySlot,
    { decisions, controlEpoch }: Permit,
  ): Promise<Exclude<AttemptResult, { kind: 'in-doubt' }>> {
    const outcomeId = newEntryId();
    for (let resuming = false; ; resuming = true) {
      const result = await this.#activities.attempt({
        ...this.#reference,
        step,
        attempt,
        slot,
        outcomeId,
        resuming,
        decisions,
        controlEpoch,
        ...(this.#approval && { approval: { entry: this.#approval.entry, expiresMs: this.#approval.expiresMs } }),
        durations: this.#input.durations,
      });
      if (result.kind !== 'in-doubt') return result;
      await sleep(result.waitMs);
    }
  }

  /** From a call's outcome to the end of its step; undefined where the action goes on with the next one. */
  async #conclude(step: number, attempt: EventId, outcome: Recorded): Promise<End | undefined> {
    if (outcome.outcome === 'success') return this.#verify(step, attempt, outcome);
    if (outcome.outcome === 'unknown') return this.#settleDoubt(step, attempt, outcome);
    // Nothing but a call's own outcome comes here, and those that are tried again do not.
    if (outcome.outcome === 'retry') throw refusal('INTERNAL');
    this.#count(outcome);
    return { outcome: outcome.outcome, ...(outcome.code && { code: outcome.code }) };
  }

  async #verify(step: number, attempt: EventId, outcome: Recorded): Promise<End | undefined> {
    this.#count(outcome);
    this.progress = { ...this.progress, answers: [...this.progress.answers, outcome.entry] };
    if (!outcome.verifiable) return undefined;
    this.progress = going(this.progress, 'VERIFYING');
    const { durations } = this.#input;
    const slot = this.#numbers.slot();
    for (let look = 1; ; look += 1) {
      const last = look >= durations.readBacksMax;
      const result = await this.#activities.readBack({
        ...this.#reference,
        step,
        attempt,
        outcome: outcome.entry,
        ...(outcome.index !== undefined && { outcomeIndex: outcome.index }),
        slot,
        last,
        durations,
      });
      if (result.kind === 'recorded') {
        this.#numbers.usedUpTo(result.sequence);
        return result.outcome === 'failure' ? { outcome: 'failure', code: 'VERIFICATION_FAILED' } : undefined;
      }
      await sleep(retryDelayMs(look, undefined, durations));
    }
  }

  /** Settled by reading back or by a person, never by trying again. */
  async #settleDoubt(step: number, attempt: EventId, unknown: Recorded): Promise<End | undefined> {
    this.#settlement = undefined;
    this.#doubts += 1;
    this.progress = inDoubt(this.progress, unknown.code);
    const slot = this.#numbers.slot();
    const { settleMs } = this.#input.durations;
    for (const [look, waitMs] of unknown.settleAfterMs < 0 ? [] : settleMs.entries()) {
      const wait = look === 0 ? Math.max(waitMs, unknown.settleAfterMs) : waitMs;
      if (await condition(() => this.#settlement !== undefined, wait)) break;
      const found = await this.#activities.settleByReading({
        ...this.#reference,
        step,
        attempt,
        unknown: unknown.entry,
        slot,
        durations: this.#input.durations,
      });
      if (found.kind === 'undetermined') continue;
      this.#numbers.usedUpTo(found.sequence);
      // A person who spoke meanwhile came too late.
      this.#settlement = undefined;
      this.progress = going(this.progress, 'ATTEMPTING');
      return this.#conclude(step, attempt, found);
    }
    await condition(() => this.#settlement !== undefined);
    const settlement = this.#settlement!;
    await this.#activities.recordSettlement({
      ...this.#reference,
      slot: this.#numbers.take(),
      settlement,
    });
    this.progress = going(this.progress, 'ATTEMPTING');
    const size = unknown.size ?? 1;
    if (settlement.outcome === 'success') {
      this.#count({ ...unknown, objects: { succeeded: size, failed: 0 } });
      return undefined;
    }
    this.#count({ ...unknown, objects: { succeeded: 0, failed: size } });
    return { outcome: 'failure', ...(unknown.code && { code: unknown.code }) };
  }

  #count({ objects, code }: Pick<RecordedOutcome, 'objects' | 'code'>): void {
    const { succeeded, failed } = this.progress.objects;
    if (objects.failed > 0 && code && !this.#firstFailure.code) this.#firstFailure = { code };
    this.progress = {
      ...this.progress,
      objects: { succeeded: succeeded + objects.succeeded, failed: failed + objects.failed },
    };
  }

  /** Where the last word is not a call's own outcome. */
  async #finish(outcome: 'denied' | 'failure', code: ErrorCode): Promise<End> {
    await this.#activities.finish({
      ...this.#reference,
      slot: this.#numbers.take(),
      causedBy: this.#input.intent,
      outcome,
      code,
    });
    return { outcome, code };
  }

  checkDecision(decision: Decision): void {
    const { agent, onBehalfOf, parametersDigest } = this.#input;
    const taken = this.#decision !== undefined;
    const asked = { agent, ...(onBehalfOf && { onBehalfOf }), parametersDigest };
    const code = taken
      ? ('APPROVAL_NOT_PENDING' as const)
      : refusalOfDecision(this.progress.approval, asked, decision, Date.now());
    if (code) throw refusal(code);
  }

  /** Answers once the decision stands in the log. */
  async decide(decision: Decision): Promise<ActionProgress> {
    this.#decision = decision;
    await condition(() => this.progress.approval?.state !== 'PENDING');
    return this.progress;
  }

  checkSettlement(settlement: SettleInput): void {
    if (this.progress.state !== 'UNKNOWN' || this.#settlement) throw refusal('ACTION_NOT_UNKNOWN');
    if (settlement.kind !== 'human' || settlement.by === this.#input.agent) throw refusal('APPROVER_IS_REQUESTER');
  }

  /** Answers once the settlement stands in the log; refused where a look at the target was quicker. */
  async settle(settlement: SettleInput): Promise<ActionProgress> {
    this.#settlement = settlement;
    const doubt = this.#doubts;
    await condition(() => this.progress.state !== 'UNKNOWN' || this.#doubts !== doubt);
    if (this.#settlement !== settlement) throw refusal('ACTION_NOT_UNKNOWN');
    return this.progress;
  }
}
