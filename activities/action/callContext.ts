import { formatTraceparent } from '../../domain/traceContext.ts';
import type { EventId, SpanId } from '../../schema/ids.ts';
import type { CallContext } from '../connectors/connector.ts';
import type { ActionInstance } from './deps.ts';
import type { Prepared } from './prepare.ts';

/** What one exchange with the vendor may use. The credential is decrypted for it and then forgotten. */
export const callContext = async (
  instance: ActionInstance,
  { intent, config, mapping }: Prepared,
  call: {
    readonly actionId: EventId;
    readonly step: number;
    readonly spanId: SpanId;
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
  },
): Promise<CallContext> => {
  const { actionId, step, spanId, timeoutMs, signal } = call;
  const { correlationId } = intent.entry;
  return {
    baseUrl: config.baseUrl,
    credential: await instance.credential(config),
    correlationId,
    traceparent: formatTraceparent({ correlationId, spanId }),
    actionId,
    step,
    ...(mapping && { mapping }),
    timeoutMs,
    signal,
  };
};
