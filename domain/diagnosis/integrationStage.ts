/**
 * Integration: did each write use the mapping in force, send what that mapping makes of the request, and leave what it
 * sent? Compares the recorded version, the payloads where they can be read, and what reading back showed.
 */
import type { RecordedEvent } from '../../schema/event.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import { isRetried, lackOfAttempt } from '../completeness.ts';
import { isWrite, type Effect, type Evidence } from './evidence.ts';
import {
  basis,
  cite,
  type Basis,
  type Citation,
  type Deviation,
  type StageResult,
  type UnknownReason,
} from './finding.ts';
import { mappingUse } from './mappingUse.ts';

export interface Collected {
  readonly deviations: Deviation[];
  readonly unknowns: UnknownReason[];
  readonly basis: Basis[];
}

export const integrationStage = (evidence: Evidence): StageResult => {
  const result: Collected = { deviations: [], unknowns: [], basis: [] };
  const written = evidence.effects.filter(({ record }) => isWrite(record.attempt.entry));
  for (const effect of written) {
    const { action, record } = effect;
    if (action.intent === null) {
      const citations = [cite(record.attempt)];
      result.unknowns.push({ kind: 'entry-missing', entry: 'intent', about: action.intentId, citations });
      continue;
    }
    result.basis.push(basis('intent', action.intent), basis('attempt', record.attempt));
    mappingUse(effect, action.intent, evidence.facts, result);
    judgeResult(effect, result);
  }
  if (evidence.completeness.state === 'INCOMPLETE') {
    for (const missing of evidence.completeness.missing) {
      if (missing.kind !== 'objects') continue;
      const attempt = evidence.byId.get(missing.attempt);
      const citations = attempt === undefined ? [] : [cite(attempt)];
      result.unknowns.push({ kind: 'run-incomplete', missing, citations });
    }
  }
  if (evidence.unguarded.length > 0) {
    result.unknowns.push({ kind: 'unguarded-effect', citations: evidence.unguarded.map(cite) });
  }
  if (written.length === 0) result.unknowns.push({ kind: 'no-effect', citations: [] });
  return result;
};

/** Failures that a fault of mapping or connector can bring about. The others are the vendor's or the network's. */
const ownFailures: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONFLICT',
  'INVALID_REQUEST',
  'MALFORMED_RESPONSE',
  'NOT_CONFIGURED',
  'NOT_FOUND',
  'VERIFICATION_FAILED',
  'INTERNAL',
]);

const judgeResult = ({ action, record }: Effect, into: Collected): void => {
  const { attempt, outcomes, objectOutcomes, verifications, objectVerifications } = record;
  const { system, action: verb } = attempt.entry;
  const about = `${system} ${verb}`;

  const refuted = [...verifications, ...objectVerifications].filter(
    ({ entry }) => entry.outcome === 'failure' && entry.error?.code === 'VERIFICATION_FAILED',
  );
  if (refuted.length > 0) {
    const objects = refuted.filter(({ entry }) => entry.batch !== undefined).length;
    into.deviations.push({
      kind: 'read-back-differs',
      system,
      action: verb,
      objects: objects > 0 ? objects : (attempt.entry.count ?? 1),
      basis: [basis('attempt', attempt), basis('read-back', ...refuted)],
      at: cite(refuted[0]!),
    });
    return;
  }

  const settlements = action.settlements.filter(({ entry }) => entry.outcome === 'success' || isWithoutEffect(entry));
  const lack = lackOfAttempt(record);
  const retried = lack === 'retry' && isRetried(action.attempts, action.attempts.indexOf(record));
  if (lack !== null && !retried && settlements.length === 0) {
    into.unknowns.push({ kind: 'entry-missing', entry: 'outcome', about, citations: [attempt, ...outcomes].map(cite) });
    return;
  }
  const failed = [...outcomes, ...objectOutcomes].filter(
    ({ entry }) => entry.outcome === 'failure' && (entry.error === undefined || ownFailures.has(entry.error.code)),
  );
  for (const [code, citations] of byCode(failed)) into.unknowns.push({ kind: 'write-failed', code, citations });

  into.basis.push(basis('outcome', ...outcomes, ...objectOutcomes, ...settlements));
  const tookEffect = [...outcomes, ...settlements].some(({ entry }) => entry.outcome === 'success');
  const certainlyNot = !tookEffect && [...outcomes, ...settlements].some(({ entry }) => isWithoutEffect(entry));
  if (certainlyNot) return;
  const confirmed = verifications.filter(({ entry }) => entry.outcome === 'success');
  if (confirmed.length === 0) {
    into.unknowns.push({
      kind: 'entry-missing',
      entry: 'read-back',
      about,
      citations: [attempt, ...outcomes].map(cite),
    });
  } else into.basis.push(basis('read-back', ...confirmed, ...objectVerifications));
};

const isWithoutEffect = ({ outcome }: RecordedEvent['entry']): boolean =>
  outcome === 'failure' || outcome === 'denied' || outcome === 'retry';

const byCode = (failed: readonly RecordedEvent[]): [ErrorCode | null, Citation[]][] =>
  [...Map.groupBy(failed, ({ entry }) => entry.error?.code ?? null)].map(([code, events]) => [code, events.map(cite)]);
