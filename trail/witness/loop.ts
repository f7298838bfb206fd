/**
 * Submits the newest anchored checkpoint of each instance that has witnesses, every so often: however many checkpoints were anchored
 * in between, each witness is asked once. One process does it for an instance at a time (a lease); two at once, after a
 * process was stopped for long, do no harm: witnesses compare and set for themselves, and what is kept is only added to.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import type { Anchor, KeptCheckpoint } from '../anchor.ts';
import { acquireLease, leaseMs, releaseLease } from '../tails/lease.ts';
import { TileReader } from '../tile-reader.ts';
import type { WitnessAlert } from './alerts.ts';
import type { WitnessClientOptions } from './client.ts';
import { Cosignatures } from './cosignatures.ts';
import { listWitnessPolicies, type ConfiguredWitness, type WitnessPolicy } from './policy.ts';
import { isLate, quorumState } from './quorum.ts';
import {
  contradicting,
  contradictionOf,
  WitnessStatements,
  type KeptStatement,
  type WitnessStatement,
} from './statements.ts';
import { submit, type Submission } from './submit.ts';

export interface WitnessLoopOptions {
  /** Of the duty witness. */
  readonly client: MongoClient;
  readonly anchor: Anchor;
  /** Unique to the process. */
  readonly owner: string;
  readonly intervalMs: number;
  readonly witness: WitnessClientOptions;
  /** The log's origin; undefined for an instance that is not there. */
  readonly originOf: (instance: InstanceId) => Promise<string | undefined>;
  /** Records an alert in the instance's log. */
  readonly record: (instance: InstanceId, alert: WitnessAlert) => Promise<void>;
  /** Records what a witness stated, unless the log has it: every process asks for it when it begins. */
  readonly recordStatement: (instance: InstanceId, alert: WitnessAlert, statement: KeptStatement) => Promise<void>;
  /** Whether the last alert of the quorum that the log holds says that it was missed. */
  readonly wasMissed: (instance: InstanceId) => Promise<boolean>;
  /** Told of everything that a person should know and that is not in the log, or not only there. */
  readonly onEvent: (event: WitnessLoopEvent) => void;
  readonly nowMs?: () => number;
}

export type WitnessLoopEvent =
  | { readonly kind: 'alert'; readonly instance: InstanceId; readonly alert: WitnessAlert }
  /** So many witnesses contradict that no writer extends the log any more; nothing can be recorded in it. */
  | { readonly kind: 'halted'; readonly instance: InstanceId; readonly code: string }
  | { readonly kind: 'error'; readonly instance: InstanceId | undefined; readonly error: unknown };

/** An idle log is submitted again this often: only its witnesses can tell that it was rolled back. */
const againMs = 3_600_000;
const backOffMsMin = 1000;
const backOffMsMax = 300_000;
const instancesAtOnce = 8;

interface Memory {
  /** Index of the policy that it is about; another one begins anew. */
  readonly policy: number;
  missed: boolean | undefined;
  halted: boolean;
  readonly witnesses: Map<
    string,
    { size: number; atMs: number; notBeforeMs: number; backOffMs: number; failure: string }
  >;
  /** By verifier key of the witness: number of its last statement that stands in the log. */
  readonly recorded: Map<string, number>;
}

export class WitnessLoop {
  readonly #options: WitnessLoopOptions;
  readonly #cosignatures: Cosignatures;
  readonly #statements: WitnessStatements;
  readonly #nowMs: () => number;
  readonly #memories = new Map<InstanceId, Memory>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: WitnessLoopOptions) {
    this.#options = options;
    this.#cosignatures = new Cosignatures(options.client);
    this.#statements = new WitnessStatements(options.client);
    this.#nowMs = options.nowMs ?? Date.now;
  }

  /** Begins; calling it again changes nothing. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Lets what is under way end, and the leases go. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    for (const instance of this.#memories.keys())
      await releaseLease(this.#options.client, leaseOf(instance), this.#options.owner).catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.round();
      await this.#pause();
    }
  }

  /** Keeps the leases meanwhile: what is known of the witnesses is in this process. */
  async #pause(): Promise<void> {
    const { intervalMs, client, owner } = this.#options;
    const { signal } = this.#stopping;
    const deadline = performance.now() + intervalMs;
    for (let leftMs = intervalMs; leftMs > 0 && !signal.aborted; leftMs = deadline - performance.now()) {
      await delay(Math.min(leftMs, leaseMs / 3), undefined, { signal }).catch(() => undefined);
      for (const instance of this.#memories.keys())
        await acquireLease(client, leaseOf(instance), owner).catch(() => undefined);
    }
  }

  /** One look at every instance. Never throws: failures are told, and tried again in the next round. */
  async round(): Promise<void> {
    const { onEvent, client } = this.#options;
    try {
      const policies = (await listWitnessPolicies(client)).values();
      const work = async (): Promise<void> => {
        for (const policy of policies) {
          if (this.#stopping.signal.aborted) return;
          await this.#instance(policy).catch((error: unknown) =>
            onEvent({ kind: 'error', instance: policy.instance, error }),
          );
        }
      };
      await Promise.all(Array.from({ length: instancesAtOnce }, work));
    } catch (error) {
      onEvent({ kind: 'error', instance: undefined, error });
    }
  }

  async #instance(policy: WitnessPolicy): Promise<void> {
    const { client, owner, anchor, originOf } = this.#options;
    const { instance } = policy;
    if ((await acquireLease(client, leaseOf(instance), owner)) === undefined) {
      this.#memories.delete(instance);
      return;
    }
    const origin = await originOf(instance);
    const newest = origin === undefined ? undefined : await anchor.latest(origin);
    if (origin === undefined || !newest) return;
    const memory = this.#memoryOf(policy);
    const about = { policy, origin, newest, memory };
    // What another process kept and did not record comes first: a witness may take it back now.
    const steps = [
      () => this.#recordStatements(about),
      ...policy.witnesses.map((witness) => () => this.#witness(witness, about)),
    ];
    const [first, ...others] = steps;
    const results = [
      ...(await Promise.allSettled([first!()])),
      ...(await Promise.allSettled(others.map((step) => step()))),
      // None of them keeps the others from being told of, nor a quorum that is missed.
      ...(await Promise.allSettled([this.#recordStatements(about)])),
      ...(await Promise.allSettled([this.#judge(about)])),
    ];
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #memoryOf({ instance, index }: WitnessPolicy): Memory {
    const known = this.#memories.get(instance);
    if (known?.policy === index) return known;
    const fresh: Memory = {
      policy: index,
      missed: undefined,
      halted: false,
      witnesses: new Map(),
      recorded: new Map(),
    };
    this.#memories.set(instance, fresh);
    return fresh;
  }

  async #witness(witness: ConfiguredWitness, about: About & { readonly newest: KeptCheckpoint }): Promise<void> {
    const { policy, origin, newest, memory } = about;
    const nowMs = this.#nowMs();
    const known = memory.witnesses.get(witness.vkey);
    if (known && nowMs < known.notBeforeMs) return;
    if (known && known.size === newest.size && nowMs - known.atMs < againMs) return;
    const { client, anchor } = this.#options;
    const submission = await submit(witness, newest, {
      origin,
      cosignatures: this.#cosignatures,
      tiles: new TileReader(policy.instance, client),
      newest: () => anchor.latest(origin),
      client: this.#options.witness,
    });
    if (submission.kind === 'cosigned') {
      const { size } = submission.cosignature;
      memory.witnesses.set(witness.vkey, { size, atMs: nowMs, notBeforeMs: 0, backOffMs: 0, failure: '' });
    } else {
      const backOffMs = Math.min(Math.max(backOffMsMin, (known?.backOffMs ?? 0) * 2), backOffMsMax);
      const failure = submission.kind === 'failed' ? submission.failure : submission.kind.toUpperCase();
      const notBeforeMs = nowMs + backOffMs;
      memory.witnesses.set(witness.vkey, { size: -1, atMs: nowMs, notBeforeMs, backOffMs, failure });
    }
    await this.#state(witness, submission, about);
  }

  /** Keeps what a witness states, before it is recorded: from then on, writers know it. */
  async #state(
    { key, vkey }: ConfiguredWitness,
    submission: Submission,
    { policy, origin, newest }: About & { readonly newest: KeptCheckpoint },
  ): Promise<void> {
    if (submission.kind === 'failed') return;
    const statement =
      submission.kind === 'cosigned'
        ? { kind: 'agrees' as const, size: submission.cosignature.size }
        : { kind: submission.kind, size: submission.size };
    const added = await this.#statements.add(origin, vkey, { ...statement, at: new Date(this.#nowMs()) });
    if (!added) return;
    const alert = contradictionAlert(key.name, statement, newest);
    this.#options.onEvent({ kind: 'alert', instance: policy.instance, alert });
  }

  /**
   * Sees to it that the last statement of each witness stands in the log. What was kept and not recorded, because the process
   * ended or the log was away, is recorded in a later round.
   */
  async #recordStatements(about: About & { readonly newest: KeptCheckpoint }): Promise<void> {
    const { policy, origin, newest, memory } = about;
    for (const { key, vkey } of policy.witnesses) {
      const statement = await this.#statements.last(origin, vkey);
      if (!statement || memory.recorded.get(vkey) === statement.number) continue;
      // A log that no writer may extend gets no further entry, not even this one: it would stand where the lost ones belong.
      if (await this.#isHalted(about)) return;
      await this.#options.recordStatement(policy.instance, contradictionAlert(key.name, statement, newest), statement);
      memory.recorded.set(vkey, statement.number);
    }
  }

  async #isHalted({ policy, origin, memory }: About): Promise<boolean> {
    const error = contradictionOf(policy, await contradicting(this.#statements, origin, policy));
    if (error && !memory.halted) this.#options.onEvent({ kind: 'halted', instance: policy.instance, code: error.code });
    memory.halted = error !== undefined;
    return memory.halted;
  }

  /** Tells once that the quorum was missed, and once that it is there again. */
  async #judge({ policy, origin, memory }: About): Promise<void> {
    const { client, anchor, record, wasMissed, onEvent } = this.#options;
    const { instance, quorum, withinMs, witnesses } = policy;
    const newest = await anchor.latest(origin);
    if (!newest || (await this.#isHalted({ policy, origin, memory }))) return;
    const tiles = new TileReader(instance, client);
    const state = await quorumState(policy, newest, { origin, cosignatures: this.#cosignatures, tiles });
    const late = isLate(state, policy, this.#nowMs());
    // Under a new policy nobody is late at first, and nothing has been reached either.
    if (!late && state.waitingSince !== undefined && state.waitingSince <= policy.since) return;
    memory.missed ??= await wasMissed(instance);
    if (memory.missed === late) return;
    const missing = witnesses.flatMap(({ key, vkey }) => {
      const known = memory.witnesses.get(vkey);
      return known?.size === state.size ? [] : [{ witness: key.name, failure: known?.failure ?? '' }];
    });
    const alert: WitnessAlert = {
      kind: 'quorum',
      reached: !late,
      cosignedSize: state.cosigned?.size ?? 0,
      size: state.size,
      threshold: quorum.threshold,
      withinMs,
      missing: late ? missing : [],
    };
    onEvent({ kind: 'alert', instance, alert });
    await record(instance, alert);
    memory.missed = late;
  }
}

interface About {
  readonly policy: WitnessPolicy;
  readonly origin: string;
  readonly memory: Memory;
}

const contradictionAlert = (
  witness: string,
  { kind, size }: Pick<WitnessStatement, 'kind' | 'size'>,
  newest: KeptCheckpoint,
): WitnessAlert => ({ kind: 'contradiction', witness, statement: kind, witnessSize: size, size: newest.size });

const leaseOf = (instance: InstanceId): string => `${instance}/witness`;
