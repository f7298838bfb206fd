/** The correlation of the activity that is being carried out, as it came in Temporal's headers. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { parseTraceparent, traceHeader, type TraceContext } from '../domain/traceContext.ts';

const current = new AsyncLocalStorage<TraceContext | undefined>();

/** Undefined where whoever started the workflow sent none. */
export const activityTrace = (): TraceContext | undefined => current.getStore();

export const traceInterceptor: ActivityInboundCallsInterceptor = {
  execute(input, next) {
    const header = input.headers[traceHeader];
    const trace = header === undefined ? undefined : parseTraceparent(defaultPayloadConverter.fromPayload(header));
    return current.run(trace, () => next(input));
  },
};
