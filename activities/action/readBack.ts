/** Reads back what a call should have left, and records whether it did. */
import { Context } from '@temporalio/activity';
import type { ReadBackInput, ReadBackResult } from '../../domain/action/contract.ts';
import { actionEmitter } from '../../domain/action/entryIds.ts';
import type { EventInput } from '../../schema/event.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import { ConnectorError, type CallResult, type Step, type Verification } from '../connectors/connector.ts';
import { ActionLog } from './actionLog.ts';
import { callContext } from './callContext.ts';
import type { ActionDeps } from './deps.ts';
import { entryOf, memberCount, memberId, objectFields, spanOf } from './entries.ts';
import { prepare, type Prepared } from './prepare.ts';
import { resultOf } from './recordedCall.ts';

type Seen =
  | { readonly kind: 'read'; readonly verification: Verification; readonly result: CallResult }
  | { readonly kind: 'unread'; readonly code: ErrorCode };

export const createReadBack =
  (deps: ActionDeps) =>
  async (input: ReadBackInput): Promise<ReadBackResult> => {
    const instance = await deps.open(input.instance);
    const { cancellationSignal, info } = Context.current();
    const log = new ActionLog(instance.trail, cancellationSignal);
    const prepared = await prepare(deps, instance, input);
    const step = 'refusal' in prepared ? undefined : prepared.steps[input.step];
    const next = input.slot.sequence + 1;
    // Nothing is left to read with. The outcome stands; that it was not verified is what the record then shows.
    if ('refusal' in prepared || step?.items === undefined)
      return { kind: 'recorded', outcome: 'unknown', sequence: input.slot.sequence };
    const standing = info.attempt > 1 ? await log.find(input.slot.id) : undefined;
    const after = next + memberCount(step.items);
    const seen = standing ? undefined : await look(deps, log, prepared, step, input);
    if (seen === 'again') return { kind: 'again' };
    const events = seen ? verifiedEntries(prepared, step, input, seen, new Date(deps.nowMs()).toISOString()) : [];
    const [placed] = events.length > 0 ? await log.append(events) : [];
    const recorded =
      placed?.placing === 'ours' ? events[0]!.outcome : (await log.standing(input.slot.id)).entry.outcome;
    return { kind: 'recorded', outcome: recorded as 'success' | 'failure' | 'unknown', sequence: after };
  };

const look = async (
  deps: ActionDeps,
  log: ActionLog,
  prepared: Prepared,
  step: Step<unknown>,
  input: ReadBackInput,
): Promise<Seen | 'again'> => {
  const instance = await deps.open(input.instance);
  const known = input.outcomeIndex === undefined ? undefined : await instance.trail.reader.at(input.outcomeIndex);
  // By its place it is there at once; by its id only when the index has come so far.
  const outcome = known?.entry.id === input.outcome ? known : await log.standing(input.outcome);
  const entries = memberCount(step.items) === 0 ? [outcome] : await log.ofEmitter(actionEmitter(input.intent));
  const result = await resultOf(instance, entries, input.outcome, step);
  if (result === 'erased') return { kind: 'unread', code: 'CONTENT_ERASED' };
  try {
    const context = await callContext(instance, prepared, {
      actionId: input.intent,
      step: input.step,
      spanId: spanOf(input.attempt),
      timeoutMs: input.durations.callMs,
      signal: AbortSignal.timeout(2 * input.durations.callMs),
    });
    const verification = await prepared.tool.verify!(context, step, result);
    // A target may need a moment before it shows what was written.
    return verification.matches || input.last ? { kind: 'read', verification, result } : 'again';
  } catch (error) {
    if (!(error instanceof ConnectorError)) throw error;
    return input.last ? { kind: 'unread', code: error.code } : 'again';
  }
};

const verifiedEntries = (
  { intent, tool }: Prepared,
  step: Step<unknown>,
  { slot, outcome: outcomeId }: ReadBackInput,
  seen: Seen,
  eventTime: string,
): EventInput[] => {
  const shared = { action: tool.action, system: tool.system, endpoint: tool.endpoint, phase: 'verified' as const };
  const verdict = (matches: boolean) =>
    matches
      ? { outcome: 'success' as const }
      : { outcome: 'failure' as const, error: { code: 'VERIFICATION_FAILED' as const } };
  const members = memberCount(step.items);
  const read = seen.kind === 'read' ? seen : undefined;
  const single = members === 0 ? read?.verification.items[0] : undefined;
  const call = entryOf(intent.entry, eventTime, {
    ...slot,
    spanId: spanOf(slot.id),
    causedBy: outcomeId,
    ...shared,
    ...(read ? verdict(read.verification.matches) : unread(seen as Extract<Seen, { kind: 'unread' }>)),
    ...(members > 0 && { count: members }),
    ...objectFields(members === 0 ? (read?.result.items[0]?.target ?? step.items[0]?.target) : undefined, {
      readBack: single?.readBack,
    }),
  });
  const objects = Array.from({ length: members }, (_, position): EventInput => {
    const item = read?.verification.items[position];
    // An object that the call did not change has nothing to be read back.
    const changed = read?.result.items[position]?.outcome === 'success';
    return entryOf(intent.entry, eventTime, {
      id: memberId(slot.id, position),
      sequence: slot.sequence + 1 + position,
      spanId: spanOf(memberId(slot.id, position)),
      causedBy: memberId(outcomeId, position),
      ...shared,
      batch: { parent: slot.id, position, size: members },
      ...(read === undefined || !changed ? { outcome: 'unknown' as const } : verdict(item?.matches === true)),
      ...objectFields(step.items[position]!.target, { readBack: item?.readBack }),
    });
  });
  return [call, ...objects];
};

const unread = ({ code }: Extract<Seen, { kind: 'unread' }>) => ({ outcome: 'unknown' as const, error: { code } });
