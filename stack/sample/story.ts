/** Tells what was played, from what the API answered. */
import type { Played, TimelineRow } from './incident.ts';
import type { OutsideVerdict } from './proof.ts';

export interface OwnVerdict {
  readonly outcome: string;
  readonly size: number | null;
  readonly root: string | null;
  readonly problem: { readonly message: string } | null;
}

const rule = (title: string): string => `\n--- ${title} ${'-'.repeat(Math.max(0, 96 - title.length))}`;

const step = ({ depth, event, bulk }: TimelineRow): string => {
  const what = `${event.action} ${event.phase}${event.outcome ? ` ${event.outcome}` : ''}`;
  const who = `${event.system}, by ${event.actor.principal}`;
  const many = bulk ? ` (${bulk.size} objects)` : '';
  return `${String(event.index).padStart(6)}  ${'  '.repeat(Math.min(depth, 12))}${what}${many}  [${who}]`;
};

export const timelineLines = ({ correlationId, timeline }: Played): string[] => [
  rule(`timeline ${correlationId}`),
  ...timeline.map(step),
];

export const diagnosisLines = ({ diagnosis, verdict }: Played): string[] => [
  rule(`diagnosis: ${verdict.state}${verdict.causes.length > 0 ? ` (${verdict.causes.join(', ')})` : ''}`),
  ...diagnosis.map((line) => `  ${line}`),
];

export const proofLines = (own: OwnVerdict, outside: OutsideVerdict): string[] => [
  rule('proofs'),
  `  our own check:      ${own.outcome}${own.size === null ? '' : `, ${own.size} entries, root ${own.root}`}${own.problem ? `: ${own.problem.message}` : ''}`,
  `  independent (Go):   ${outside.state === 'not-run' ? `the outside verdict was not run: ${outside.reason}` : outside.line}`,
];
