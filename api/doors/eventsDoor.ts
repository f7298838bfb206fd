/**
 * `POST /v1/events`: reported events as NDJSON, one a line, many of them; what `recordEvents` is over GraphQL, with the same
 * checks and answers. Events are appended in batches while the body is still being sent, and each is answered by a line as
 * soon as it is acknowledged. A caller that goes away has lost nothing: what was appended stays, and sending the same lines
 * again is answered as a repetition.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toApiError } from '../errorMapping.ts';
import { ApiError } from '../errors.ts';
import { batchesOf } from '../http/batches.ts';
import { BodyCut, encodedBody } from '../http/encodedBody.ts';
import { linesOf, type Line } from '../http/lines.ts';
import type { ApiLimits } from '../limits/limits.ts';
import type { RequestContext } from '../requestContext.ts';
import { EventAnswers } from './eventAnswers.ts';
import { EventIntake } from './eventIntake.ts';
import type { EndedLine } from './eventLine.ts';

const mediaTypes: ReadonlySet<string> = new Set(['application/x-ndjson', 'application/ndjson', 'application/jsonl']);

const batchLimits = {
  itemsMax: 1000,
  bytesMax: 4 * 1024 * 1024,
  lingerMs: 5,
  sizeOf: (line: Line) => (line.kind === 'whole' ? line.bytes.length : 0),
} as const;

/**
 * Throws what ended the request early. Where events were answered before, the answer's last line has said it already; else
 * it is left to be answered as an error of the whole request.
 */
export const recordLines = async (
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
): Promise<void> => {
  requireNdjson(request);
  const { limits } = context;
  const answers = new EventAnswers(response);
  const ending = new Ending(context);
  const intake = new EventIntake(context, answers, {
    lineBytesMax: limits.bulkLineBytesMax,
    onFailure: (error) => ending.end(error),
  });
  try {
    await takeAll(linesOfBody(request, limits, ending.signal), intake, limits);
    await intake.settled();
    answers.end(undefined);
  } catch (error) {
    // Nothing of the body is read any more, and what was taken of it is answered before the error is.
    ending.end(error);
    await intake.settled().catch(() => undefined);
    const { cause } = ending;
    if (cause instanceof BodyCut) return;
    if (answers.answered > 0) answers.end(toApiError(cause));
    throw cause;
  } finally {
    ending.over();
  }
};

const requireNdjson = ({ headers }: IncomingMessage): void => {
  const type = headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
  if (type === undefined || !mediaTypes.has(type))
    throw new ApiError('UNSUPPORTED_MEDIA_TYPE', 'Content-Type: send events as application/x-ndjson, one a line');
};

const linesOfBody = (request: IncomingMessage, limits: ApiLimits, signal: AbortSignal): AsyncIterable<Line[]> => {
  const bodyLimits = { bytesMax: limits.bulkBytesMax, expansionMax: limits.bulkExpansionMax };
  return linesOf(encodedBody(request, bodyLimits, signal), limits.bulkLineBytesMax);
};

const takeAll = async (
  lines: AsyncIterable<Line[]>,
  intake: EventIntake,
  { bulkEventsMax }: ApiLimits,
): Promise<void> => {
  let taken = 0;
  for await (const some of batchesOf(lines, batchLimits)) {
    const ended = some.filter((line): line is EndedLine => line.kind !== 'unfinished');
    const room = bulkEventsMax - taken;
    if (room > 0 && ended.length > 0) await intake.take(ended.slice(0, room));
    taken += ended.length;
    if (ended.length > room)
      throw new ApiError(
        'BATCH_TOO_LARGE',
        `a request takes ${bulkEventsMax} events at most; send the rest in another`,
      );
    const last = some.at(-1)!;
    if (last.kind === 'unfinished')
      throw new ApiError(
        'UNFINISHED_LINE',
        `line ${last.number} has no newline at its end, and may be cut off: it was not recorded; those before it were answered`,
      );
  }
};

/** What ends a request before its body does: the first of its causes. */
class Ending {
  readonly #controller = new AbortController();
  readonly #context: RequestContext;
  readonly #overdue: NodeJS.Timeout;
  readonly #gone = () => this.end(new BodyCut());
  readonly #stop = () =>
    this.end(new ApiError('TRAIL_UNAVAILABLE', 'the API is stopping; send what was not answered again'));

  constructor(context: RequestContext) {
    this.#context = context;
    // Before the server would cut the connection without a word.
    const ms = 0.9 * context.limits.requestMsMax;
    const message = `the request took longer than ${ms} ms; send what was not answered in another, with the same ids`;
    this.#overdue = setTimeout(() => this.end(new ApiError('TRAIL_UNAVAILABLE', message)), ms);
    context.signal.addEventListener('abort', this.#gone);
    context.stopping.addEventListener('abort', this.#stop);
  }

  /** Aborted at the end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get cause(): unknown {
    return this.#controller.signal.reason;
  }

  end(cause: unknown): void {
    this.#controller.abort(cause);
  }

  over(): void {
    clearTimeout(this.#overdue);
    this.#context.signal.removeEventListener('abort', this.#gone);
    this.#context.stopping.removeEventListener('abort', this.#stop);
  }
}
