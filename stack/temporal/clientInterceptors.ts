/** Puts the request's correlation into the headers of whatever a client asks of Temporal. */
import type { ClientInterceptors } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Headers } from '@temporalio/common';
import { currentTrace } from '../../api/trace.ts';
import { formatTraceparent, traceHeader } from '../../domain/traceContext.ts';

const traced = (headers: Headers): Headers => {
  const trace = currentTrace();
  if (trace === undefined) return headers;
  return { ...headers, [traceHeader]: defaultPayloadConverter.toPayload(formatTraceparent(trace)) };
};

export const clientInterceptors: ClientInterceptors = {
  workflow: [
    {
      startWithDetails: (input, next) => next({ ...input, headers: traced(input.headers) }),
      startUpdate: (input, next) => next({ ...input, headers: traced(input.headers) }),
      startUpdateWithStart: (input, next) =>
        next({
          ...input,
          workflowStartHeaders: traced(input.workflowStartHeaders),
          updateHeaders: traced(input.updateHeaders),
        }),
      signal: (input, next) => next({ ...input, headers: traced(input.headers) }),
      signalWithStart: (input, next) => next({ ...input, headers: traced(input.headers) }),
      query: (input, next) => next({ ...input, headers: traced(input.headers) }),
    },
  ],
  schedule: [{ create: (input, next) => next({ ...input, headers: traced(input.headers) }) }],
};
