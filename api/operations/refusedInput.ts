/** Records refused input: by digest and reason, never by content; one entry a call, and only so many a minute for each caller. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { newCorrelationId } from '../../trail/recorder.ts';
import type { OperationContext } from '../context.ts';
import type { ApiErrorCode } from '../errors.ts';
import type { Incoming } from './incoming.ts';
import { RefusalBudget } from './refusalBudget.ts';

const budget = new RefusalBudget();
const digestsMax = 100;

export interface RefusedInput {
  readonly input: Incoming;
  readonly code: ApiErrorCode;
}

export const recordRefusals = async (
  { caller, instance, services }: OperationContext,
  refused: readonly RefusedInput[],
): Promise<void> => {
  if (refused.length === 0) return;
  const spent = budget.spend(`${caller.instance}/${caller.principal}`, services.nowMs(), refused.length);
  if (spent === undefined) return;
  const inputs = refused.slice(0, digestsMax).map(({ input, code }) => ({ sha256: digestOf(input), code }));
  await instance.recorder.record([
    {
      correlationId: newCorrelationId(),
      actor: { principal: caller.principal, kind: caller.kind },
      action: 'input.refuse',
      phase: 'outcome',
      outcome: 'denied',
      system: 'trailkeeper',
      count: refused.length + spent.unrecorded,
      error: { code: 'INPUT_REFUSED' },
      parts: [{ name: 'refused', content: { inputs, notListed: spent.unrecorded } }],
    },
  ]);
};

const digestOf = (input: Incoming): string => {
  if (input.kind === 'unreadable') return input.sha256;
  try {
    return createHash('sha256')
      .update(canonicalize(input.value) ?? 'null')
      .digest('hex');
  } catch {
    // No canonical form: a lone surrogate, or nesting that is deeper than the stack.
    return digestWithoutForm(input.value);
  }
};

/** Of the names and values, level by level. Not to be computed from outside, but the same for the same input. */
const digestWithoutForm = (value: unknown): string => {
  const digest = createHash('sha256');
  let level: unknown[] = [value];
  while (level.length > 0) {
    const below: unknown[] = [];
    for (const one of level) {
      if (typeof one !== 'object' || one === null) {
        digest.update(`${JSON.stringify(one)}\n`);
        continue;
      }
      digest.update(`${Array.isArray(one) ? one.length : JSON.stringify(Object.keys(one))}\n`);
      for (const inner of Object.values(one)) below.push(inner);
    }
    level = below;
  }
  return digest.digest('hex');
};
