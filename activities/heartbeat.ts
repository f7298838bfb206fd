/**
 * Every activity tells Temporal that it is alive, so that one whose worker died is given to another soon, and one that
 * lags behind learns that it was given away: its cancellation signal is set.
 */
import { Context } from '@temporalio/activity';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';

export const heartbeatInterceptor: ActivityInboundCallsInterceptor = {
  async execute(input, next) {
    const context = Context.current();
    const { heartbeatTimeoutMs } = context.info;
    if (heartbeatTimeoutMs === undefined) return next(input);
    const beat = setInterval(() => context.heartbeat(), Math.max(100, heartbeatTimeoutMs / 3));
    try {
      return await next(input);
    } finally {
      clearInterval(beat);
    }
  },
};
