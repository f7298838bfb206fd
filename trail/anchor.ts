/**
 * The anchor: checkpoints kept outside of the record's own database. A log that was restored to an older state and
 * regrown verifies by itself; only a checkpoint kept elsewhere shows it. A receipt leaves only after its checkpoint
 * is anchored, and a writer extends only a log that agrees with its anchor.
 */
import { MongoServerError, type Collection, type MongoClient, type Timestamp } from 'mongodb';
import { requireOpen } from './closing.ts';
import { controlDatabase, majority, writtenNow } from './database.ts';
import { TrailError } from './errors.ts';

export interface AnchoredCheckpoint {
  /** Number of entries. */
  readonly size: number;
  /** The signed checkpoint, as it is served. */
  readonly note: string;
  /** Index of the first entry of the segment that the checkpoint ends with. */
  readonly segment: number;
}

/** A checkpoint as it was kept in some other place: it may be all that is left of a log. */
export interface KeptCheckpoint {
  readonly size: number;
  /** The signed checkpoint. */
  readonly note: string;
}

/** Another place than the anchor where checkpoints of the log are kept: the archive, or what witnesses cosigned. */
export interface CheckpointPlace {
  /** Stands in errors: "... was kept by <name>". */
  readonly name: string;
  /** The one of the largest size. Throws where it can't be told: a writer then does not begin. */
  latest(origin: string): Promise<KeptCheckpoint | undefined>;
}

export interface PlacedCheckpoint extends KeptCheckpoint {
  readonly place: string;
}

/** LOG_FORKED by what is anchored, which never changes; what witnesses state is LOG_FORKED too, and they may take it back. */
export class AnchorConflict extends TrailError {
  constructor(size: number, options: ErrorOptions) {
    super('LOG_FORKED', `another history is anchored at size ${size}`, options);
  }
}

export interface Anchor {
  /** The anchored checkpoint of the largest size, undefined for a log that has none yet. */
  latest(origin: string): Promise<AnchoredCheckpoint | undefined>;
  /** The latest of every other place: the log must hold each of them, whether larger or smaller than the anchored one. */
  elsewhere?(origin: string): Promise<PlacedCheckpoint[]>;
  /** Every anchored checkpoint of at least this size, smallest first. */
  from(origin: string, size: number, limit: number): Promise<AnchoredCheckpoint[]>;
  /**
   * Returns once the checkpoint is kept. The same one again changes nothing. Throws LOG_FORKED where another one of
   * that size is kept, TRAIL_UNAVAILABLE where it can't be known to be kept.
   */
  put(origin: string, checkpoint: AnchoredCheckpoint): Promise<void>;
}

interface AnchorDocument {
  /** `<origin>#<size, 16 digits>` */
  _id: string;
  size: number;
  note: string;
  segment: number;
  /** When it was anchored, by MongoDB's own clock. */
  at: Timestamp;
}

/** Longer than a request takes to look at the policy and then at the anchor. */
const learntMs = 5000;

const anchorId = (origin: string, size: number): string => `${origin}#${String(size).padStart(16, '0')}`;

/** What MongoDB's anchor can tell besides. */
export interface MongoAnchor extends Anchor {
  /**
   * The largest that was anchored `withinMs` ago or earlier, or by `since` and the few seconds in which every reader learns of it. Never
   * smaller than an earlier answer, nor than what was the newest before `since`, by MongoDB's own clock.
   */
  latestWaiting(
    origin: string,
    since: { readonly since: Date; readonly withinMs: number },
  ): Promise<AnchoredCheckpoint | undefined>;
}

/** Insert-only collection in the control database, under a user that can do nothing else. */
export const mongoAnchor = (client: MongoClient): MongoAnchor => {
  const anchors: Collection<AnchorDocument> = client.db(controlDatabase).collection('anchors', majority);
  const found = ({ size, note, segment }: AnchorDocument): AnchoredCheckpoint => ({ size, note, segment });
  const range = (origin: string, size: number) => ({ $gte: anchorId(origin, size), $lt: `${origin}$` });

  return {
    async latest(origin) {
      const document = await anchors
        .find({ _id: range(origin, 0) })
        .sort({ _id: -1 })
        .limit(1)
        .next();
      return document ? found(document) : undefined;
    },
    async latestWaiting(origin, { since, withinMs }) {
      const until = {
        $max: [{ $subtract: ['$$NOW', withinMs] }, { $min: ['$$NOW', new Date(since.getTime() + learntMs)] }],
      };
      // An anchor has whole seconds: one of the second that is running counts.
      const anchoredMs = { $multiply: [{ $tsSecond: '$at' }, 1000] };
      const document = await anchors
        .find({ _id: range(origin, 0), $expr: { $lte: [anchoredMs, { $toLong: until }] } })
        .sort({ _id: -1 })
        .limit(1)
        .next();
      return document ? found(document) : undefined;
    },
    async from(origin, size, limit) {
      const documents = await anchors
        .find({ _id: range(origin, size) })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(found);
    },
    async put(origin, { size, note, segment }) {
      const _id = anchorId(origin, size);
      // Of a log that was closed meanwhile nothing more is given out, whatever this process remembers of it, and whether the
      // checkpoint is there already or not.
      const isOpen = requireOpen(client, origin);
      isOpen.catch(() => undefined);
      try {
        await anchors.insertOne({ _id, size, note, segment, at: writtenNow }, majority);
      } catch (error) {
        if (!(error instanceof MongoServerError) || error.code !== 11_000) throw error;
        const kept = await anchors.findOne({ _id });
        // Not yet with a majority: whether it stays is not known.
        if (!kept) throw new TrailError('TRAIL_UNAVAILABLE', 'the anchor has not settled yet', { cause: error });
        if (kept.note !== note) throw new AnchorConflict(size, { cause: error });
      }
      await isOpen;
    },
  };
};

/** What speaks against a history besides checkpoints that are kept: what witnesses state without signing it. */
export type Contradiction = (origin: string) => Promise<TrailError | undefined>;

/** How old the knowledge may be with which a checkpoint is anchored. */
const contradictionMsMax = 5000;

/**
 * The anchor together with all other places. A rollback must reach every one of them to go unseen by a writer, and
 * what witnesses keep is out of reach of whoever holds MongoDB and the archive.
 */
export const compositeAnchor = (
  anchor: Anchor,
  places: readonly CheckpointPlace[],
  contradiction: Contradiction = async () => undefined,
): Anchor => {
  const uncontradicted = new Map<string, number>();
  const requireUncontradicted = async (origin: string): Promise<void> => {
    const error = await contradiction(origin);
    if (error) throw error;
    uncontradicted.set(origin, performance.now());
  };
  return {
    async latest(origin) {
      await requireUncontradicted(origin);
      return anchor.latest(origin);
    },
    from: (origin, size, limit) => anchor.from(origin, size, limit),
    async elsewhere(origin) {
      const found = await Promise.all(
        places.map(async (place) => {
          const checkpoint = await place.latest(origin);
          return checkpoint ? [{ ...checkpoint, place: place.name }] : [];
        }),
      );
      return found.flat();
    },
    async put(origin, checkpoint) {
      // A history that was contradicted meanwhile gives out no receipt any more, though its segment stands.
      const knownMs = uncontradicted.get(origin);
      if (knownMs === undefined || performance.now() - knownMs > contradictionMsMax)
        await requireUncontradicted(origin);
      await anchor.put(origin, checkpoint);
    },
  };
};
