/** The correlation of the request that is being carried out, for whatever it starts (stack/temporal/client.ts). */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { TraceContext } from '../domain/traceContext.ts';

const current = new AsyncLocalStorage<TraceContext>();

export const withTrace = <T>(trace: TraceContext, work: () => Promise<T>): Promise<T> => current.run(trace, work);
export const currentTrace = (): TraceContext | undefined => current.getStore();
