/**
 * Closed logs. A log that was restored from its archive may lack entries that had been acknowledged: under its origin
 * nothing is appended any more, by any process, old or new. It goes on under another origin, once two people approved
 * it. All of it stands beside the anchors, insert-only, where no user of the record's database reaches.
 */
import { MongoServerError, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import type { InstanceId } from '../schema/ids.ts';
import type { Anchor, AnchoredCheckpoint, MongoAnchor } from './anchor.ts';
import { controlDatabase, majority, writtenNow } from './database.ts';
import { TrailError } from './errors.ts';

export interface Closing {
  readonly origin: string;
  readonly instance: InstanceId;
  /** What the checkpoints of the closed log were signed with. */
  readonly vkey: string;
  /** The last checkpoint that was in the archive: the log has these entries. */
  readonly checkpoint: AnchoredCheckpoint;
  /** Largest size that is known to have been given out beyond it; absent where none is. */
  readonly knownSize?: number;
}

export interface ContinuationApproval {
  readonly principal: string;
  readonly reason: string;
  readonly at: Date;
}

/** Under what the log goes on: decided once, by whoever approved second. */
export interface Continuation {
  readonly logId: string;
  readonly origin: string;
  readonly eventId: string;
  readonly approvals: readonly ContinuationApproval[];
  readonly at: Date;
}

type Kept<T> = T & { _id: string; written: Timestamp };

// A space never stands in an origin, and '#' begins what follows it in an anchor's id: neither can be taken for another.
const closingId = (origin: string): string => `${origin} closed`;
const continuationId = (origin: string): string => `${origin} continuation`;
const approvalPrefix = (origin: string): string => `${origin} approval `;

const keptIn = <T>(client: MongoClient): Collection<Kept<T>> =>
  client.db(controlDatabase).collection<Kept<T>>('anchors', majority);

/** The document that stands under the id: this one, or the one that was there before. */
const keepFirst = async <T extends object>(client: MongoClient, _id: string, content: T): Promise<T> => {
  const documents = keptIn<T>(client);
  try {
    await documents.insertOne({ ...content, _id, written: writtenNow } as never, majority);
  } catch (error) {
    if (!(error instanceof MongoServerError && error.code === 11_000)) throw error;
  }
  const kept = await documents.findOne({ _id } as never);
  if (!kept) throw new TrailError('TRAIL_UNAVAILABLE', 'what was just written could not be read back; try again');
  return kept as unknown as T;
};

/** Closes a log for good. `client`: anchor duty. Gives the closing that counts: the first. */
export const closeLog = (client: MongoClient, closing: Closing): Promise<Closing> =>
  keepFirst(client, closingId(closing.origin), closing);

/** Undefined for a log that is open. */
export const findClosing = async (client: MongoClient, origin: string): Promise<Closing | undefined> =>
  ((await keptIn<Closing>(client).findOne({ _id: closingId(origin) } as never)) as Closing | null) ?? undefined;

/** Throws LOG_CLOSED. */
export const requireOpen = async (client: MongoClient, origin: string): Promise<void> => {
  if (await findClosing(client, origin)) throw logClosed();
};

const logClosed = (): TrailError =>
  new TrailError(
    'LOG_CLOSED',
    'the log was restored from its archive, and goes on only under a new origin: two people have to approve it (continueLog)',
  );

/** Keeps somebody's approval; a second one of the same principal changes nothing. `client`: anchor duty. */
export const keepApproval = (
  client: MongoClient,
  origin: string,
  approval: ContinuationApproval,
): Promise<ContinuationApproval> => keepFirst(client, `${approvalPrefix(origin)}${approval.principal}`, approval);

/** The earliest first. */
export const findApprovals = async (client: MongoClient, origin: string): Promise<ContinuationApproval[]> => {
  const prefix = approvalPrefix(origin);
  const found = await keptIn<ContinuationApproval>(client)
    .find({ _id: { $gte: prefix, $lt: `${prefix}\uFFFF` } } as never)
    .sort({ written: 1 })
    .toArray();
  return found.map(({ principal, reason, at }) => ({ principal, reason, at }));
};

/** Decides under what the log goes on, unless it was decided before. `client`: anchor duty. */
export const keepContinuation = (
  client: MongoClient,
  origin: string,
  continuation: Continuation,
): Promise<Continuation> => keepFirst(client, continuationId(origin), continuation);

/** An anchor that takes nothing more for this log, and says so before anything is written. */
export const closedAnchor = ({ checkpoint }: Closing): { readonly writing: Anchor; readonly reading: MongoAnchor } => ({
  writing: {
    latest: async () => Promise.reject(logClosed()),
    from: async () => Promise.reject(logClosed()),
    put: async () => Promise.reject(logClosed()),
  },
  // What was anchored beyond the archive is not in the record any more.
  reading: {
    latest: async () => checkpoint,
    latestWaiting: async () => checkpoint,
    from: async (_origin, size) => (size <= checkpoint.size ? [checkpoint] : []),
    put: async () => Promise.reject(logClosed()),
  },
});
