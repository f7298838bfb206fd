import type { ActionDurations } from './durations.ts';

/** How long to wait after attempt number `attempt` (from 1): what the vendor asks for, or the doubled wait if longer. */
export const retryDelayMs = (
  attempt: number,
  retryAfterMs: number | undefined,
  { retryMs, retryMsMax }: Pick<ActionDurations, 'retryMs' | 'retryMsMax'>,
): number => Math.max(retryAfterMs ?? 0, Math.min(retryMs * 2 ** Math.min(attempt - 1, 20), retryMsMax));
