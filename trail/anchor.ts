/**
 * The anchor: checkpoints kept outside of the record's own database. A log that was restored to an older state and
 * regrown verifies by itself; only a checkpoint kept elsewhere shows it. A receipt leaves only after its checkpoint
 * is anchored, and a writer extends only a log that agrees with its anchor.
 */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { controlDatabase, majority } from './database.ts';
import { TrailError } from './errors.ts';

export interface AnchoredCheckpoint {
  /** Number of entries. */
  readonly size: number;
  /** The signed checkpoint, as it is served. */
  readonly note: string;
  /** Index of the first entry of the segment that the checkpoint ends with. */
  readonly segment: number;
}

export interface Anchor {
  /** The anchored checkpoint of the largest size, undefined for a log that has none yet. */
  latest(origin: string): Promise<AnchoredCheckpoint | undefined>;
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
}

const anchorId = (origin: string, size: number): string => `${origin}#${String(size).padStart(16, '0')}`;

/** Insert-only collection in the control database, under a user that can do nothing else. */
export const mongoAnchor = (client: MongoClient): Anchor => {
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
      try {
        await anchors.insertOne({ _id, size, note, segment }, majority);
      } catch (error) {
        if (!(error instanceof MongoServerError) || error.code !== 11_000) throw error;
        const kept = await anchors.findOne({ _id });
        // Not yet with a majority: whether it stays is not known.
        if (!kept) throw new TrailError('TRAIL_UNAVAILABLE', 'the anchor has not settled yet', { cause: error });
        if (kept.note !== note)
          throw new TrailError('LOG_FORKED', `another history is anchored at size ${size}`, { cause: error });
      }
    },
  };
};
