/** One request's context: who asks, in which instance, until when, and what is kept while it is answered. */
import { randomUUID } from 'node:crypto';
import { Permissions } from '../authorization/permit.ts';
import type { Denials } from '../authorization/denials.ts';
import type { Caller, Services } from '../context.ts';
import type { ApiLimits } from '../limits/limits.ts';
import type { ApiMetrics } from '../metrics.ts';
import { maySeeOf } from '../reads/maySee.ts';
import { PayloadLoader } from '../reads/payloadLoader.ts';
import type { ReadRecords } from '../reads/readRecords.ts';
import { RequestReads } from '../reads/requestReads.ts';
import type { RequestContext } from '../requestContext.ts';
import type { SubscriptionSlots } from '../subscriptions/slots.ts';
import type { MaySee } from '../../trail/reader.ts';

/** What all requests of a process share. */
export interface Shared {
  readonly services: Services;
  readonly limits: ApiLimits;
  readonly metrics: ApiMetrics;
  readonly denials: Denials;
  readonly readRecords: ReadRecords;
  readonly subscriptions: SubscriptionSlots;
  readonly publicUrl: string;
}

export const newRequestId = (): string => randomUUID();

export const openContext = async (
  shared: Shared,
  caller: Caller,
  request: { readonly requestId: string; readonly signal: AbortSignal; readonly stopping: AbortSignal },
): Promise<RequestContext> => {
  const { services, limits, metrics, denials, readRecords, subscriptions, publicUrl } = shared;
  const instance = await services.open(caller.instance);
  const permissions = new Permissions({ caller, services, instance }, denials);
  const reads = new RequestReads(instance, caller, readRecords);
  let seen: Promise<MaySee> | undefined;
  const maySee = () =>
    (seen ??= permissions
      .decide('readPayloads')
      .then(({ authorization }) => maySeeOf(caller.role, authorization.result === 'allow')));
  const { payloadBytesMax } = limits;
  const payloads = new PayloadLoader({ reader: instance.trail.reader, maySee, reads, payloadBytesMax });
  return {
    caller,
    services,
    instance,
    ...request,
    permissions,
    reads,
    maySee,
    payloads,
    subscriptions,
    limits,
    metrics,
    publicUrl,
  };
};
