/**
 * Correlation inside workflows: what came in with a start, an update or a signal goes out with every activity, child,
 * signal and continue-as-new that it leads to, unchanged, so that entries name as their parent the span that is recorded.
 */
import { AsyncLocalStorage } from '@temporalio/workflow';
import type { Headers, WorkflowInterceptors, WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { traceHeader } from '../domain/traceContext.ts';

type Header = Headers[string];

export const interceptors: WorkflowInterceptorsFactory = (): WorkflowInterceptors => {
  const current = new AsyncLocalStorage<Header | undefined>();
  let ofExecution: Header | undefined;
  const within = <T>(headers: Headers, work: () => Promise<T>): Promise<T> =>
    current.run(headers[traceHeader] ?? ofExecution, work);
  const outgoing = (headers: Headers): Headers => {
    const header = current.getStore() ?? ofExecution;
    return header === undefined ? headers : { ...headers, [traceHeader]: header };
  };
  return {
    inbound: [
      {
        execute(input, next) {
          ofExecution = input.headers[traceHeader];
          return within(input.headers, () => next(input));
        },
        handleUpdate: (input, next) => within(input.headers, () => next(input)),
        handleSignal: (input, next) => within(input.headers, () => next(input)),
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next({ ...input, headers: outgoing(input.headers) }),
        scheduleLocalActivity: (input, next) => next({ ...input, headers: outgoing(input.headers) }),
        startChildWorkflowExecution: (input, next) => next({ ...input, headers: outgoing(input.headers) }),
        signalWorkflow: (input, next) => next({ ...input, headers: outgoing(input.headers) }),
        continueAsNew: (input, next) => next({ ...input, headers: outgoing(input.headers) }),
      },
    ],
  };
};
