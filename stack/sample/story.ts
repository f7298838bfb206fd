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
  const many = bulk ? ` (${bulk.size} object${bulk.size === 1 ? '' : 's'})` : '';
  return `${String(event.index).padStart(6)}  ${'  '.repeat(Math.min(depth, 12))}${what}${many}  [${who}]`;
};

export const timelineLines = ({ correlationId, timeline }: Played): string[] => [
  rule(`timeline ${correlationId}`),
  ...timeline.map(step),
];

/** Kinds of statements under the question that they answer, in the order of asking. */
const questions: readonly (readonly [question: string, kinds: readonly string[]])[] = [
  ['Who triggered it, and who acted for whom?', ['trigger', 'trigger-unknown', 'identity']],
  ['What allowed each step?', ['permission']],
  ['What changed, from what to what?', ['change', 'reported-effect']],
  ['How did each step end, and what is missing?', ['step', 'missing']],
  ['Which versions were in play?', ['version', 'version-unknown']],
  ['Is the record intact?', ['intact', 'not-intact']],
];

export const diagnosisLines = ({ diagnosis: { verdict, lines, statements } }: Played): string[] => {
  const first = lines.length - statements.length;
  const answers = questions.flatMap(([question, kinds]) => {
    const found = lines.filter((_, at) => at >= first && kinds.includes(statements[at - first]!.kind));
    return found.length === 0 ? [] : ['', `  ${question}`, ...found.flatMap(wrapped)];
  });
  return [
    rule(`diagnosis: ${verdict.state}${verdict.causes.length > 0 ? ` (${verdict.causes.join(', ')})` : ''}`),
    '',
    '  What went wrong?',
    ...lines.slice(0, first).flatMap(wrapped),
    ...answers,
  ];
};

const width = 116;

const wrapped = (line: string): string[] => {
  const rows = ['    -'];
  for (const word of line.split(' ')) {
    if (rows.at(-1)!.length + word.length >= width) rows.push('     ');
    rows.push(`${rows.pop()!} ${word}`);
  }
  return rows;
};

export const proofLines = (own: OwnVerdict, outside: OutsideVerdict): string[] => [
  rule('proofs'),
  `  our own check:      ${own.outcome}${own.size === null ? '' : `, ${own.size} entries, root ${own.root}`}${own.problem ? `: ${own.problem.message}` : ''}`,
  `  independent (Go):   ${outside.state === 'not-run' ? `the outside verdict was not run: ${outside.reason}` : outside.line}`,
];
