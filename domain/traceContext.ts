/** W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header): the one form in which correlation travels. */
import { correlationIdPattern, spanIdPattern, type CorrelationId, type SpanId } from '../schema/ids.ts';

export interface TraceContext {
  readonly correlationId: CorrelationId;
  /** The span that what follows is caused by. */
  readonly spanId: SpanId;
}

/** Name of the header, in HTTP as in Temporal. */
export const traceHeader = 'traceparent';

const version = '00';
const sampled = '01';

export const formatTraceparent = ({ correlationId, spanId }: TraceContext): string =>
  `${version}-${correlationId}-${spanId}-${sampled}`;

/** Undefined for what is no traceparent of version 00. */
export const parseTraceparent = (text: unknown): TraceContext | undefined => {
  const match = typeof text === 'string' ? /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(text) : null;
  if (match === null) return undefined;
  const [, correlationId, spanId] = match as unknown as [string, string, string];
  if (!correlationIdPattern.test(correlationId) || !spanIdPattern.test(spanId)) return undefined;
  return { correlationId: correlationId as CorrelationId, spanId: spanId as SpanId };
};
