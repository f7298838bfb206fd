/**
 * The order is the guarantee, and what a crash leaves behind at each line:
 *   1. values before are read       crash: nothing stands; the next execution begins anew
 *   2. the attempt is appended, only while control state is what the decision knew
 *                                   crash: an attempt without an outcome stands; the next execution recovers it
 *   3. guards are checked again, and the call is made
 *                                   crash: the same; nobody can tell whether the call was made
 *   4. the outcome is appended      crash: the next execution finds it and returns it
 * An execution that timed out may still be running beside the next one. Only the one that wrote the last entry of the
 * attempt may make the call, and only until `claimMs` after that; who comes next waits for longer than that before it
 * says that the outcome is unknown. So what is found by reading the target later can't be overtaken by a late call.
 */
import type { AttemptInput, AttemptResult } from '../../domain/action/contract.ts';
import { actionEmitter } from '../../domain/action/entryIds.ts';
import { outcomeOfFailure, recoveryOf, type CallFailure } from '../../domain/action/outcome.ts';
import type { EventInput } from '../../schema/event.ts';
import type { SpanId } from '../../schema/ids.ts';
import { TrailError } from '../../trail/errors.ts';
import type { IndexedEvent } from '../../trail/reader.ts';
import { ConnectorError, type CallContext, type Json, type Step } from '../connectors/connector.ts';
import { FinalFailure } from '../failures.ts';
import type { ActionLog, Placed } from './actionLog.ts';
import { afterAttempt, attemptGroup, permitId } from './attemptEntries.ts';
import { callContext } from './callContext.ts';
import type { ActionDeps, ActionInstance } from './deps.ts';
import { newSpan } from './entries.ts';
import { outcomeGroup, recordedOutcome, type CallEnd } from './outcomeEntries.ts';
import type { Prepared } from './prepare.ts';
import { valuesBefore } from './recordedCall.ts';

type Failed = Extract<CallEnd, { kind: 'failed' }>;

export class AttemptExecution {
  readonly #deps: ActionDeps;
  readonly #instance: ActionInstance;
  readonly #prepared: Prepared;
  readonly #step: Step<unknown>;
  readonly #input: AttemptInput;
  readonly #log: ActionLog;
  readonly #signal: AbortSignal;

  constructor(
    deps: ActionDeps,
    instance: ActionInstance,
    prepared: Prepared,
    step: Step<unknown>,
    input: AttemptInput,
    log: ActionLog,
    signal: AbortSignal,
  ) {
    this.#deps = deps;
    this.#instance = instance;
    this.#prepared = prepared;
    this.#step = step;
    this.#input = input;
    this.#log = log;
    this.#signal = signal;
  }

  /** Nothing of this attempt stands yet, or not all of it. */
  async begin(): Promise<AttemptResult> {
    const { control } = this.#instance;
    if (await control.suspended()) return { kind: 'refused', outcome: 'denied', code: 'SUSPENDED' };
    if (this.#approvalExpired()) return { kind: 'refused', outcome: 'denied', code: 'APPROVAL_EXPIRED' };
    const spanId = newSpan();
    let before: readonly (Json | null)[] | undefined;
    let failure: ConnectorError | undefined;
    try {
      const { tool } = this.#prepared;
      before = await tool.before?.(await this.#context(spanId, this.#input.durations.callMs), this.#step);
    } catch (error) {
      if (error instanceof TrailError && error.code === 'KEY_UNAVAILABLE')
        return { kind: 'refused', outcome: 'failure', code: 'NOT_CONFIGURED' };
      if (error instanceof TrailError) throw error;
      failure = this.#asConnectorError(error, 'no');
    }
    const claimedAt = performance.now();
    const group = attemptGroup(this.#prepared, this.#step, this.#input, this.#now(), before, spanId);
    const placed = await this.#log.append(group, { ifControlEpoch: this.#input.controlEpoch });
    const placings = placed.map(({ placing }) => placing);
    if (placings.every((placing) => placing === 'stale')) return { kind: 'stale' };
    if (placings.includes('stale')) return this.#abandon(group, spanId);
    if (placings.at(-1) !== 'ours') return this.recover();
    const span = placings[0] === 'ours' ? spanId : (await this.#log.standing(this.#input.slot.id)).entry.spanId;
    // What reading refused is certainly without effect.
    if (failure) return this.#end(this.#failed(failure, { repeated: false, onlyRead: true }), span);
    const held = await this.#held(claimedAt);
    if (held) return this.#end(held, span);
    return this.#call(before ?? [], claimedAt, span, false);
  }

  /** The whole attempt stands, so somebody had the permit to call. */
  async recover(): Promise<AttemptResult> {
    const { intent, tool } = this.#prepared;
    const { slot, outcomeId, durations } = this.#input;
    await this.#log.standing(permitId(slot.id, this.#step));
    const entries = await this.#log.ofEmitter(actionEmitter(intent.entry.id));
    const find = (id: string) => entries.find(({ entry }) => entry.id === id);
    if (find(outcomeId)) return this.#standingOutcome(entries);
    const span = find(slot.id)!.entry.spanId;
    const permit = find(permitId(slot.id, this.#step))!;
    if (recoveryOf(tool) === 'again') {
      const before = await valuesBefore(this.#instance, entries, slot.id, this.#step);
      if (before === 'erased') return this.#end({ kind: 'failed', outcome: 'unknown', code: 'CONTENT_ERASED' }, span);
      const claimedAt = performance.now();
      const held = await this.#held(claimedAt);
      // The call before may have been made: holding this one back does not undo it.
      if (held) return this.#end(tool.effect === 'read' ? held : { ...held, outcome: 'unknown' }, span);
      return this.#call(before, claimedAt, span, true);
    }
    const { claimMs, skewMs } = durations;
    const waitMs = Date.parse(permit.entry.receivedTime) + claimMs + skewMs - this.#deps.nowMs();
    if (waitMs > 0) return { kind: 'in-doubt', waitMs };
    return this.#end({ kind: 'failed', outcome: 'unknown', code: 'TIMEOUT' }, span);
  }

  /** Part of the attempt was written before control state changed: the rest is written, and the call not made. */
  async #abandon(group: readonly EventInput[], span: SpanId): Promise<AttemptResult> {
    const placed = await this.#log.append(group);
    if (placed.at(-1)?.placing !== 'ours') return this.recover();
    return this.#end({ kind: 'failed', outcome: 'retry' }, span);
  }

  /** Why the call is not made after all, at the last moment; undefined where it may be. */
  async #held(claimedAt: number): Promise<Failed | undefined> {
    const { control } = this.#instance;
    const { durations, controlEpoch } = this.#input;
    if (await control.suspended()) return { kind: 'failed', outcome: 'denied', code: 'SUSPENDED' };
    if (this.#approvalExpired()) return { kind: 'failed', outcome: 'denied', code: 'APPROVAL_EXPIRED' };
    if ((await control.applied()).epoch > controlEpoch) return { kind: 'failed', outcome: 'retry' };
    const late = performance.now() - claimedAt > durations.claimMs - durations.callMs;
    return late || this.#signal.aborted ? { kind: 'failed', outcome: 'retry' } : undefined;
  }

  async #call(
    before: readonly (Json | null)[],
    claimedAt: number,
    span: SpanId,
    repeated: boolean,
  ): Promise<AttemptResult> {
    const { callMs, claimMs } = this.#input.durations;
    const context = await this.#context(span, callMs, claimedAt + claimMs);
    let end: CallEnd;
    try {
      end = { kind: 'answered', result: await this.#prepared.tool.call(context, this.#step, before) };
    } catch (error) {
      end = this.#failed(this.#asConnectorError(error, 'unknown'), { repeated, onlyRead: false });
    }
    return this.#end(end, span);
  }

  async #context(spanId: SpanId, timeoutMs: number, deadline = performance.now() + timeoutMs): Promise<CallContext> {
    // Not the activity's own signal: a call that is under way is better finished than left in doubt.
    const leftMs = Math.max(1, Math.floor(Math.min(timeoutMs, deadline - performance.now())));
    return callContext(this.#instance, this.#prepared, {
      actionId: this.#input.intent,
      step: this.#input.step,
      spanId,
      timeoutMs: leftMs,
      signal: AbortSignal.timeout(leftMs),
    });
  }

  #failed(error: ConnectorError, { repeated, onlyRead }: { repeated: boolean; onlyRead: boolean }): Failed {
    const failure: CallFailure = { code: error.code, tookEffect: error.tookEffect };
    const { tool } = this.#prepared;
    const { attempt, durations } = this.#input;
    const kind = onlyRead ? ({ effect: 'read', idempotency: tool.idempotency } as const) : tool;
    const { httpStatus, retryAfterMs, detail } = error;
    return {
      kind: 'failed',
      outcome: outcomeOfFailure(failure, kind, { attempt, attemptsMax: durations.attemptsMax, repeated }),
      code: error.code,
      ...(httpStatus !== undefined && { httpStatus }),
      ...(retryAfterMs !== undefined && { retryAfterMs: Math.min(retryAfterMs, 86_400_000) }),
      ...(detail !== undefined && { detail }),
    };
  }

  /** Appends the outcome; where another execution was first, its word stands. */
  async #end(end: CallEnd, spanId: SpanId): Promise<AttemptResult> {
    const { slot, outcomeId, attempt } = this.#input;
    const { events, recorded } = outcomeGroup(
      this.#prepared,
      { id: slot.id, number: attempt, spanId, step: this.#step },
      { id: outcomeId, sequence: afterAttempt(slot.sequence, this.#step) },
      this.#now(),
      end,
    );
    const [placed] = await this.#record(events);
    if (placed?.placing === 'ours') return { ...recorded, index: placed.index! };
    await this.#log.standing(outcomeId);
    return this.#standingOutcome(await this.#log.ofEmitter(actionEmitter(this.#prepared.intent.entry.id)));
  }

  /** What happened is recorded in any case, if need be without what the vendor said of it. */
  async #record(events: readonly EventInput[]): Promise<Placed[]> {
    try {
      return await this.#log.append(events);
    } catch (error) {
      const unfit = error instanceof FinalFailure ? error.code.endsWith('_TOO_LARGE') : isInvalid(error);
      if (!unfit) throw error;
      return this.#log.append(
        events.map(({ parts: _parts, resource: _resource, subjects: _subjects, channel: _channel, ...bare }) => bare),
      );
    }
  }

  #standingOutcome(entries: readonly IndexedEvent[]): AttemptResult {
    const { outcomeId } = this.#input;
    const own = entries.map(({ entry }) => entry);
    const outcome = own.find(({ id }) => id === outcomeId)!;
    const members = own.filter(({ batch }) => batch?.parent === outcomeId);
    return recordedOutcome(this.#prepared, this.#step, outcome, members);
  }

  /** Anything else that a connector throws is a defect of it, and says nothing of what the vendor did. */
  #asConnectorError(error: unknown, tookEffect: 'no' | 'unknown'): ConnectorError {
    if (error instanceof ConnectorError) return error;
    this.#deps.onDefect(this.#prepared.tool.name, error);
    return new ConnectorError('INTERNAL', { tookEffect });
  }

  #approvalExpired(): boolean {
    const { approval } = this.#input;
    return approval !== undefined && this.#deps.nowMs() >= approval.expiresMs;
  }

  #now(): string {
    return new Date(this.#deps.nowMs()).toISOString();
  }
}

const isInvalid = (error: unknown): boolean => error instanceof Error && error.name === 'ZodError';
