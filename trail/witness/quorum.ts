/**
 * Whether the quorum is there in time. Time counts from when the log received the first entry that no quorum covers, as the entry
 * itself says: so it goes on counting through restarts, and a log that nothing is added to is never late.
 */
import type { KeptCheckpoint } from '../anchor.ts';
import { parseEntry } from '../segments.ts';
import type { TileReader } from '../tile-reader.ts';
import type { Cosignatures, QuorumCheckpoint } from './cosignatures.ts';
import type { WitnessPolicy } from './policy.ts';

export interface QuorumState {
  /** The newest checkpoint with the quorum; undefined for none. */
  readonly cosigned: QuorumCheckpoint | undefined;
  /** Size of the newest checkpoint. */
  readonly size: number;
  /** Since when an entry waits for the quorum; undefined where none does. */
  readonly waitingSince: Date | undefined;
}

export const quorumState = async (
  policy: WitnessPolicy,
  newest: KeptCheckpoint,
  parts: { readonly origin: string; readonly cosignatures: Cosignatures; readonly tiles: TileReader },
): Promise<QuorumState> => {
  const { cosignatures, tiles, origin } = parts;
  const cosigned = await cosignatures.newestWithQuorum(origin, policy.quorum);
  const { size } = newest;
  const first = cosigned?.size ?? 0;
  if (first >= size) return { cosigned, size, waitingSince: undefined };
  const [bytes] = await tiles.entries(first, 1);
  const received = new Date(parseEntry(bytes!).receivedTime);
  // Before the policy was set, nobody waited.
  return { cosigned, size, waitingSince: received > policy.since ? received : policy.since };
};

export const isLate = ({ waitingSince }: QuorumState, { withinMs }: WitnessPolicy, nowMs: number): boolean =>
  waitingSince !== undefined && nowMs - waitingSince.getTime() > withinMs;
