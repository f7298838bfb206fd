/** How things look on a terminal. JSON is printed as the API gave it. */
import { actionEmitterPrefix } from '../domain/timeline/actions.ts';
import type { CommandContext } from './command.ts';

export const printJson = ({ out }: CommandContext, value: unknown): void => out(JSON.stringify(value, null, 2));

export interface EventLine {
  readonly index: number;
  readonly id: string;
  readonly eventTime: string;
  readonly system: string;
  readonly action: string;
  readonly phase: string;
  readonly outcome: string | null;
  readonly attempt: number | null;
  readonly actor: { readonly principal: string };
  readonly onBehalfOf: string | null;
  readonly error: { readonly code: string } | null;
  readonly emitter: { readonly id: string };
  readonly parametersDigest: string | null;
}

/** The fields that `eventLine` shows. */
export const eventLineFields = `index id eventTime system action phase outcome attempt
  actor { principal } onBehalfOf error { code } emitter { id } parametersDigest`;

export const eventLine = (event: EventLine): string => {
  const { index, eventTime, system, action, phase, outcome, attempt, actor, onBehalfOf, error } = event;
  const tries = attempt !== null && attempt > 1 ? ` (attempt ${attempt})` : '';
  const result = outcome === null ? '' : ` ${outcome}`;
  const who = onBehalfOf === null ? actor.principal : `${actor.principal} for ${onBehalfOf}`;
  return `#${index} ${eventTime} ${system} ${action} ${phase}${tries}${result}${error ? ` ${error.code}` : ''} by ${who}${requestText(event)}`;
};

/** What a person who is asked needs for `decide`. */
const requestText = ({ action, phase, emitter, parametersDigest }: EventLine): string =>
  action === 'approval.request' && phase === 'intent' && emitter.id.startsWith(actionEmitterPrefix)
    ? `: action ${emitter.id.slice(actionEmitterPrefix.length)}, digest ${parametersDigest}`
    : '';

/** `1 entry`, `2 entries`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

export const behindText = (behind: number): string => `the index is ${counted(behind, 'entry', 'entries')} behind`;

/** `3h`, `2.5s`, `120ms`, with its sign. */
export const duration = (ms: number): string => {
  const size = Math.abs(ms);
  const sign = ms < 0 ? '-' : '';
  if (size < 1000) return `${sign}${Math.round(size)}ms`;
  if (size < 60_000) return `${sign}${(size / 1000).toFixed(1)}s`;
  if (size < 3_600_000) return `${sign}${Math.round(size / 60_000)}min`;
  return `${sign}${Math.round(size / 3_600_000)}h`;
};

/** Content of events may be anybody's words: none of them may steer the terminal. */
export const printable = (line: string): string =>
  // oxlint-disable-next-line no-control-regex -- these are what is taken out
  line.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
