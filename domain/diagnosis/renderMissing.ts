/** What is missing from a run, in words. Phrases without a capital and without a full stop. */
import type { MissingReason } from '../completeness.ts';
import type { SequenceRange } from '../emitters.ts';

type Phrases = {
  readonly [K in MissingReason['kind']]: (reason: Extract<MissingReason, { readonly kind: K }>) => string;
};

const stateNames = {
  none: 'has none',
  pending: 'is still pending',
  unknown: 'is unknown',
  retry: 'promised another attempt that is not recorded',
} as const;

const phrases: Phrases = {
  'no-final-outcome': ({ action, system, intent, last }) =>
    `a final outcome of ${action} in ${system} (action ${intent}), which ${stateNames[last]}`,
  objects: ({ intent, attempt, lacks, positions }) =>
    `the ${lacks} of the objects at ${rangesPhrase(positions)} in attempt ${attempt} of action ${intent}`,
  'objects-never-attempted': ({ intent, expected, attempted }) =>
    `attempts for ${expected - attempted} of the ${expected} objects of action ${intent}`,
  'no-intent': ({ intent }) => `the intent ${intent}, of whose action other entries are held`,
  'no-attempt': ({ intent, attempt, objects }) =>
    `the attempt ${attempt} of action ${intent}, of which the entries of ${objects} objects are held`,
  'emitter-gap': ({ emitter, ranges, truncated }) => {
    const named = ranges.length > 0 ? [rangesPhrase(ranges)] : [];
    const more = truncated === null ? [] : [`more between ${truncated[0]} and ${truncated[1]}`];
    return `entries of emitter ${emitter} with sequence ${[...named, ...more].join(' and ')}`;
  },
  'entries-not-held': ({ emitter, ranges }) =>
    `recorded entries of emitter ${emitter} that were not given, with sequence ${rangesPhrase(ranges)}`,
  'emitter-unknown': ({ emitter }) => `the state of emitter ${emitter}, so that its gaps are unknown`,
};

export const missingSentence = (reason: MissingReason): string =>
  (phrases[reason.kind] as (reason: MissingReason) => string)(reason);

const rangesShownMax = 8;

export const rangesPhrase = (ranges: readonly SequenceRange[]): string => {
  const shown = ranges.slice(0, rangesShownMax).map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`));
  const more = ranges.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more ranges` : ''}`;
};
