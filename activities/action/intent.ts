/** Loads what an action is about from the trail: the claim check behind the ids that its workflow holds. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { finalFailures, type ActionReference } from '../../domain/action/contract.ts';
import { actionEmitter } from '../../domain/action/entryIds.ts';
import type { Entry } from '../../schema/event.ts';
import type { ErrorCode } from '../../schema/taxonomy.ts';
import { TrailError } from '../../trail/errors.ts';
import { FinalFailure } from '../failures.ts';
import { activityTrace } from '../trace.ts';
import type { ActionInstance } from './deps.ts';

/** An action that can't go on. Nothing of it was attempted. */
export interface Refusal {
  readonly outcome: 'denied' | 'failure';
  readonly code: ErrorCode;
}

export const refused = (outcome: Refusal['outcome'], code: ErrorCode): { readonly refusal: Refusal } => ({
  refusal: { outcome, code },
});

export interface Intent {
  readonly entry: Entry;
  readonly tool: string;
  readonly params: unknown;
}

const parametersPart = z.strictObject({ tool: z.string(), params: z.json() });

export const digestOf = (content: unknown): string =>
  createHash('sha256')
    .update(canonicalize(content) ?? 'null')
    .digest('hex');

/** Only the entry, which is never erased. Throws FinalFailure INTENT_MISMATCH where it is not what it was said to be. */
export const loadIntentEntry = async (
  { trail }: ActionInstance,
  { intent, intentIndex, run, parametersDigest }: ActionReference,
) => {
  const event = await trail.reader.at(intentIndex);
  if (!event) throw new TrailError('TRAIL_UNAVAILABLE', 'the intent can not be read now');
  const { entry } = event;
  const trace = activityTrace();
  const isIt =
    entry.id === intent &&
    entry.provenance === 'platform' &&
    entry.phase === 'intent' &&
    entry.runId === run &&
    entry.emitter.id === actionEmitter(intent) &&
    entry.parametersDigest === parametersDigest &&
    (trace === undefined || trace.correlationId === entry.correlationId);
  if (!isIt) throw new FinalFailure(finalFailures.intentMismatch);
  return event;
};

export const loadIntent = async (
  instance: ActionInstance,
  reference: ActionReference,
): Promise<{ readonly intent: Intent } | { readonly refusal: Refusal }> => {
  const event = await loadIntentEntry(instance, reference);
  const [open] = await instance.trail.reader.withParts([event], (_entry, { name }) => name === 'parameters');
  const part = open?.parts?.['parameters'];
  if (part?.state !== 'present') return refused('failure', 'CONTENT_ERASED');
  if (digestOf(part.content) !== reference.parametersDigest) return refused('denied', 'PARAMETERS_CHANGED');
  const parsed = parametersPart.safeParse(part.content);
  if (!parsed.success) return refused('failure', 'INVALID_REQUEST');
  return { intent: { entry: event.entry, ...parsed.data } };
};
