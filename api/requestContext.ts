/** What resolvers get: the operation's context, and what is kept only while one request is answered. */
import type { Permissions } from './authorization/permit.ts';
import type { OperationContext } from './context.ts';
import type { ApiLimits } from './limits/limits.ts';
import type { MaySee } from '../trail/reader.ts';
import type { PayloadLoader } from './reads/payloadLoader.ts';
import type { RequestReads } from './reads/requestReads.ts';
import type { ApiMetrics } from './metrics.ts';
import type { SubscriptionSlots } from './subscriptions/slots.ts';

export interface RequestContext extends OperationContext {
  readonly requestId: string;
  readonly permissions: Permissions;
  readonly limits: ApiLimits;
  /** Aborted when the caller goes away or the time is over. */
  readonly signal: AbortSignal;
  /** Aborted when the process stops: what would go on for ever ends then. */
  readonly stopping: AbortSignal;
  /** What the answer lets the caller read; recorded before it leaves. */
  readonly reads: RequestReads;
  readonly payloads: PayloadLoader;
  /** Which payload parts the caller sees; asked of the policies once a request. */
  readonly maySee: () => Promise<MaySee>;
  readonly subscriptions: SubscriptionSlots;
  readonly metrics: ApiMetrics;
  /** URL of the API as clients see it, without a slash at the end. */
  readonly publicUrl: string;
}
