/**
 * Checkpoints of one log together with the cosignatures of its witnesses, for whoever reads the log from outside.
 *
 * Which one is served: without witnesses the newest. With a policy, the newest that has the quorum, or the newest that has been
 * waiting for it for longer than the policy allows, whichever is larger: a log whose witnesses are away is late, and says so,
 * but is not hidden. What was served before a policy came into force is not taken back. Each of these only grows, so that
 * nobody ever gets a smaller checkpoint after a larger one.
 */
import type { MongoClient } from 'mongodb';
import { encodeCosignerVkey } from '../../domain/tree/cosignature.ts';
import { addSignatureLines } from '../../domain/tree/note.ts';
import { cosigners } from '../../domain/tree/witnessPolicy.ts';
import type { InstanceId } from '../../schema/ids.ts';
import type { KeptCheckpoint, MongoAnchor } from '../anchor.ts';
import { Cosignatures, type KeptCosignature } from './cosignatures.ts';
import { findWitnessPolicy, type WitnessPolicy } from './policy.ts';
import { WitnessStatements, type WitnessStatement } from './statements.ts';

export interface WitnessedCheckpoint extends KeptCheckpoint {
  /** Signed by the log, with the cosignature lines of its witnesses. */
  readonly note: string;
  readonly cosignatures: readonly KeptCosignature[];
}

export interface WitnessState {
  readonly name: string;
  readonly vkey: string;
  readonly url: string;
  /** What it cosigned last; undefined for nothing. */
  readonly last: KeptCosignature | undefined;
  /** Present while it contradicts the log. */
  readonly contradiction: WitnessStatement | undefined;
}

export interface WitnessesState {
  readonly policy: WitnessPolicy;
  readonly witnesses: readonly WitnessState[];
  /** The newest checkpoint, how many cosigned it, and the newest that has the quorum, 0 for none. */
  readonly size: number;
  readonly cosigned: number;
  readonly quorumSize: number;
}

export class WitnessedLog {
  readonly #instance: InstanceId;
  readonly #origin: string;
  readonly #client: MongoClient;
  readonly #anchor: MongoAnchor;
  readonly #cosignatures: Cosignatures;

  /** `client` and `anchor`: of the reader. */
  constructor(instance: InstanceId, origin: string, client: MongoClient, anchor: MongoAnchor) {
    this.#instance = instance;
    this.#origin = origin;
    this.#client = client;
    this.#anchor = anchor;
    this.#cosignatures = new Cosignatures(client);
  }

  /** The checkpoint to give to outsiders; undefined for an empty log. */
  async served(): Promise<WitnessedCheckpoint | undefined> {
    const policy = await findWitnessPolicy(this.#client, this.#instance);
    const newest = await this.#anchor.latest(this.#origin);
    if (!newest || !policy) return newest && { ...newest, cosignatures: [] };
    const onNewest = await this.#cosignatures.on(this.#origin, newest.size, policy.quorum.witnesses);
    if (cosigners(policy.quorum, onNewest) >= policy.quorum.threshold) return withLines(newest, onNewest);
    const [cosigned, waited] = await Promise.all([
      this.#cosignatures.newestWithQuorum(this.#origin, policy.quorum),
      this.#anchor.latestWaiting(this.#origin, { since: policy.applied, withinMs: policy.withinMs }),
    ]);
    if (cosigned && (!waited || cosigned.size >= waited.size)) return withLines(cosigned, cosigned.cosignatures);
    return waited && this.#cosign(waited, policy);
  }

  /** The newest checkpoint that has the quorum, however long ago that was; undefined where none has. */
  async vouchedFor(): Promise<WitnessedCheckpoint | undefined> {
    const policy = await findWitnessPolicy(this.#client, this.#instance);
    const cosigned = policy && (await this.#cosignatures.newestWithQuorum(this.#origin, policy.quorum));
    return cosigned && withLines(cosigned, cosigned.cosignatures);
  }

  /** The same checkpoint with the cosignatures that it has by witnesses of the policy in force. */
  async cosigned(checkpoint: KeptCheckpoint): Promise<WitnessedCheckpoint> {
    const policy = await findWitnessPolicy(this.#client, this.#instance);
    return policy ? this.#cosign(checkpoint, policy) : { ...checkpoint, cosignatures: [] };
  }

  /** Undefined where the instance has no witnesses. */
  async state(): Promise<WitnessesState | undefined> {
    const policy = await findWitnessPolicy(this.#client, this.#instance);
    if (!policy) return undefined;
    const statements = new WitnessStatements(this.#client);
    const newest = await this.#anchor.latest(this.#origin);
    const witnesses = await Promise.all(
      policy.witnesses.map(async ({ key, vkey, url }) => {
        const statement = await statements.last(this.#origin, encodeCosignerVkey(key));
        return {
          name: key.name,
          vkey,
          url,
          last: await this.#cosignatures.lastBy(this.#origin, key),
          contradiction: statement?.kind === 'agrees' ? undefined : statement,
        };
      }),
    );
    const size = newest?.size ?? 0;
    const onNewest = await this.#cosignatures.on(this.#origin, size, policy.quorum.witnesses);
    const cosigned = await this.#cosignatures.newestWithQuorum(this.#origin, policy.quorum);
    return { policy, witnesses, size, cosigned: onNewest.length, quorumSize: cosigned?.size ?? 0 };
  }

  async #cosign(checkpoint: KeptCheckpoint, { quorum }: WitnessPolicy): Promise<WitnessedCheckpoint> {
    return withLines(checkpoint, await this.#cosignatures.on(this.#origin, checkpoint.size, quorum.witnesses));
  }
}

const withLines = ({ size, note }: KeptCheckpoint, cosignatures: readonly KeptCosignature[]): WitnessedCheckpoint => ({
  size,
  note: addSignatureLines(
    Buffer.from(note),
    cosignatures.map(({ line }) => line),
  ).toString('utf8'),
  cosignatures,
});
