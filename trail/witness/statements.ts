/**
 * What witnesses state about a log without signing it: that they know a larger one, or another one. Kept in the control
 * database, insert-only, one document a change of mind. A single statement proves nothing, since it is not signed: a writer stops
 * only where so many witnesses contradict that the quorum can't be had any more.
 */
import { MongoServerError, type Collection, type MongoClient } from 'mongodb';
import { encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { quorumIsLost } from '../../domain/tree/witnessPolicy.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { Contradiction } from '../anchor.ts';
import { controlDatabase, majority } from '../database.ts';
import { TrailError } from '../errors.ts';
import { findWitnessPolicy, type WitnessPolicy } from './policy.ts';

/**
 * `ahead`: it cosigned a log of `size` entries, and ours has fewer: ours was rolled back. `inconsistent`: ours does not continue
 * the log of `size` entries that it cosigned: ours was rolled back and regrown, or replaced. `agrees`: it cosigned since.
 */
export type StatementKind = 'ahead' | 'inconsistent' | 'agrees';

export interface WitnessStatement {
  readonly kind: StatementKind;
  /** Number of entries that the witness speaks of. */
  readonly size: number;
  readonly at: Date;
}

interface StatementDocument {
  /** `<origin>#<verifier key of the witness>#<number, 10 digits>` */
  _id: string;
  origin: string;
  witness: string;
  number: number;
  kind: StatementKind;
  size: number;
  at: Date;
}

/** As it is kept: `_id` is its own for good, and `number` counts those of one witness about one log. */
export interface KeptStatement extends WitnessStatement {
  readonly _id: string;
  readonly number: number;
}

const duplicate = 11_000;

export class WitnessStatements {
  readonly #collection: Collection<StatementDocument>;

  /** `client`: of the duty witness, to add; of the reader, to look. */
  constructor(client: MongoClient) {
    this.#collection = client.db(controlDatabase).collection<StatementDocument>('witnessStatements', majority);
  }

  /** The last statement of a witness (by its verifier key) about a log. */
  async last(origin: string, witness: string): Promise<KeptStatement | undefined> {
    const prefix = `${origin}#${witness}`;
    const document = await this.#collection
      .find({ _id: { $gte: `${prefix}#`, $lt: `${prefix}$` } })
      .sort({ _id: -1 })
      .limit(1)
      .next();
    return document ? document : undefined;
  }

  /** Adds a statement where it differs from the last. True where this call added it. */
  async add(origin: string, witness: string, statement: WitnessStatement): Promise<boolean> {
    const last = await this.last(origin, witness);
    if (same(last, statement)) return false;
    const number = (last?.number ?? 0) + 1;
    const { kind, size, at } = statement;
    const _id = `${origin}#${witness}#${String(number).padStart(10, '0')}`;
    try {
      await this.#collection.insertOne({ _id, origin, witness, number, kind, size, at }, majority);
      return true;
    } catch (error) {
      // Another process was first; what it heard is as good.
      if (error instanceof MongoServerError && error.code === duplicate) return false;
      throw error;
    }
  }
}

/** `agrees` says nothing that a cosignature does not say, so it is kept only where it takes something back. */
const same = (last: WitnessStatement | undefined, { kind, size }: WitnessStatement): boolean =>
  kind === 'agrees' ? !last || last.kind === 'agrees' : last?.kind === kind && last.size === size;

export interface Contradicting {
  readonly vkey: string;
  readonly statement: WitnessStatement;
}

/** The witnesses of the policy that contradict this log, as they last stated. */
export const contradicting = async (
  statements: WitnessStatements,
  origin: string,
  { witnesses }: WitnessPolicy,
): Promise<Contradicting[]> => {
  const found: Contradicting[] = [];
  for (const { key } of witnesses) {
    const vkey = encodeCosignerVkey(key);
    const statement = await statements.last(origin, vkey);
    if (statement && statement.kind !== 'agrees') found.push({ vkey, statement });
  }
  return found;
};

/** Why a log must not be extended: undefined while those who contradict it leave room for the quorum. */
export const contradictionOf = ({ quorum }: WitnessPolicy, found: readonly Contradicting[]): TrailError | undefined => {
  if (!quorumIsLost(quorum, found.length)) return undefined;
  const sizes = found.map(({ statement }) => statement.size);
  const behind = found.every(({ statement }) => statement.kind === 'ahead');
  return behind
    ? new TrailError(
        'LOG_BEHIND_ANCHOR',
        `witnesses cosigned a log of ${Math.max(...sizes)} entries, which is more than there are: it was rolled back`,
      )
    : new TrailError(
        'LOG_FORKED',
        `the log does not continue what witnesses cosigned (at size ${Math.min(...sizes)}): it was rolled back and regrown, or replaced`,
      );
};

/** For a writer: what the instance's witnesses state against its log. `client`: of the reader. */
export const witnessContradiction = (client: MongoClient, instance: InstanceId): Contradiction => {
  const statements = new WitnessStatements(client);
  return async (origin) => {
    const policy = await findWitnessPolicy(client, instance);
    return policy && contradictionOf(policy, await contradicting(statements, origin, policy));
  };
};
