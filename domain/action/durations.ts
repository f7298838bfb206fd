/** How long a guarded action waits for what. All are inputs of its workflow, so that tests run in seconds. */
export interface ActionDurations {
  /** An approval must be given, and the action begun, within this time of its being asked for. */
  readonly approvalMs: number;
  /** One request to the vendor. */
  readonly callMs: number;
  /** From claiming an attempt in the log to the end of its vendor call. A call can't begin later than `callMs` before. */
  readonly claimMs: number;
  /** How far the clocks of two workers may be apart. */
  readonly skewMs: number;
  /** A worker that was not heard of for this long is taken for dead. */
  readonly heartbeatMs: number;
  /** Vendor calls for one step, the first included. */
  readonly attemptsMax: number;
  /** Wait before the second attempt; doubled for each further one, up to `retryMsMax`. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** Waits before each look at whether a call of unknown result took effect. */
  readonly settleMs: readonly number[];
  /** Tries to read back what a call left. */
  readonly readBacksMax: number;
}

export const actionDurations: ActionDurations = {
  approvalMs: 86_400_000,
  callMs: 30_000,
  claimMs: 90_000,
  skewMs: 5000,
  heartbeatMs: 20_000,
  attemptsMax: 5,
  retryMs: 1000,
  retryMsMax: 300_000,
  settleMs: [1000, 10_000, 60_000, 600_000],
  readBacksMax: 3,
};
