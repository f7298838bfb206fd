/**
 * Cosignatures, kept in the control database by a user who can only add to them. Each stands with the checkpoint that it is
 * on, signed by the log: it is evidence of its own that a log of this size and root was given out.
 */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { encodeCosignerVkey, type Cosignature, type CosignerKey } from '../../domain/tree/cosignature.ts';
import { hasQuorum, type Quorum } from '../../domain/tree/witnessPolicy.ts';
import type { CheckpointPlace } from '../anchor.ts';
import { controlDatabase, majority } from '../database.ts';

export interface CosignatureDocument {
  /** `<origin>#<size, 16 digits>#<verifier key of the witness>#<time>` */
  _id: string;
  origin: string;
  size: number;
  /** Verifier key of the witness. */
  witness: string;
  /** Seconds since 1970, as the witness says. */
  timeS: number;
  /** Signature line, with its newline. */
  line: string;
  /** The checkpoint as the log signed it, without cosignatures. */
  note: string;
}

export interface KeptCosignature extends Cosignature {
  readonly size: number;
  readonly note: string;
}

const sizeText = (size: number): string => String(size).padStart(16, '0');
const duplicate = 11_000;
/** Documents looked at in one go for a quorum; more are looked at only while witnesses disagree on sizes for long. */
const pageSize = 256;

export class Cosignatures {
  readonly #collection: Collection<CosignatureDocument>;

  /** `client`: of the duty witness, to add; of the reader, to look. */
  constructor(client: MongoClient) {
    this.#collection = client.db(controlDatabase).collection<CosignatureDocument>('cosignatures', majority);
  }

  /** Returns once it is kept. It must have been verified: nobody looks at it again before it is served. */
  async add(origin: string, { size, note, key, timeS, line }: KeptCosignature): Promise<void> {
    const witness = encodeCosignerVkey(key);
    const _id = `${origin}#${sizeText(size)}#${witness}#${timeS}`;
    try {
      await this.#collection.insertOne({ _id, origin, size, witness, timeS, line, note }, majority);
    } catch (error) {
      // The same witness, size and second: it stands already, and says the same.
      if (!(error instanceof MongoServerError && error.code === duplicate)) throw error;
    }
  }

  /** What a witness cosigned last of a log; undefined for nothing. */
  async lastBy(origin: string, key: CosignerKey): Promise<KeptCosignature | undefined> {
    const witness = encodeCosignerVkey(key);
    const document = await this.#collection.find({ origin, witness }).sort({ size: -1, timeS: -1 }).limit(1).next();
    return document ? kept(document, key) : undefined;
  }

  /** The latest cosignature of each of these witnesses on the checkpoint of this size. */
  async on(origin: string, size: number, witnesses: readonly CosignerKey[]): Promise<KeptCosignature[]> {
    const documents = await this.#collection
      .find({ _id: { $gte: `${origin}#${sizeText(size)}#`, $lt: `${origin}#${sizeText(size)}$` } })
      .sort({ timeS: 1 })
      .toArray();
    return byWitness(documents, witnesses);
  }

  /** The largest checkpoint of at least `from` entries that has the quorum, with its cosignatures. */
  async newestWithQuorum(origin: string, quorum: Quorum, from = 0): Promise<QuorumCheckpoint | undefined> {
    let before: string | undefined;
    for (;;) {
      const documents: CosignatureDocument[] = await this.#collection
        .find({ _id: { ...range(origin, from), ...(before !== undefined && { $lt: before }) } })
        .sort({ _id: -1 })
        .limit(pageSize)
        .toArray();
      const last = documents.at(-1);
      if (!last) return undefined;
      // The last size of a page may go on in the next one: it is looked at there, whole.
      const whole = documents.length < pageSize || documents[0]!.size === last.size;
      for (const [size, group] of Map.groupBy(documents, (document) => document.size)) {
        if (!whole && size === last.size) continue;
        const cosignatures = byWitness(group, quorum.witnesses);
        if (hasQuorum(quorum, cosignatures)) return { size, note: group[0]!.note, cosignatures };
      }
      if (documents.length < pageSize) return undefined;
      before = `${origin}#${sizeText(whole ? last.size : last.size + 1)}`;
    }
  }

  /** The largest checkpoint that any witness cosigned. */
  async latest(origin: string): Promise<{ readonly size: number; readonly note: string } | undefined> {
    const document = await this.#collection
      .find({ _id: range(origin, 0) })
      .sort({ _id: -1 })
      .limit(1)
      .next();
    return document ? { size: document.size, note: document.note } : undefined;
  }
}

export interface QuorumCheckpoint {
  readonly size: number;
  readonly note: string;
  readonly cosignatures: readonly KeptCosignature[];
}

/** What witnesses cosigned, as one more place that a writer's log must agree with. */
export const cosignedPlace = (client: MongoClient): CheckpointPlace => {
  const cosignatures = new Cosignatures(client);
  return { name: 'a witness', latest: (origin) => cosignatures.latest(origin) };
};

const range = (origin: string, size: number) => ({ $gte: `${origin}#${sizeText(size)}`, $lt: `${origin}$` });

const kept = ({ size, note, timeS, line }: CosignatureDocument, key: CosignerKey): KeptCosignature => ({
  key,
  size,
  note,
  timeS,
  line,
});

/** One a witness, the last given; others than these witnesses are passed over. */
const byWitness = (documents: readonly CosignatureDocument[], witnesses: readonly CosignerKey[]): KeptCosignature[] => {
  const found: KeptCosignature[] = [];
  for (const key of witnesses) {
    const vkey = encodeCosignerVkey(key);
    const own = documents.filter(({ witness }) => witness === vkey);
    const newest = own.reduce<CosignatureDocument | undefined>(
      (best, document) => (best && best.timeS >= document.timeS ? best : document),
      undefined,
    );
    if (newest) found.push(kept(newest, key));
  }
  return found;
};
