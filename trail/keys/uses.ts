/**
 * Use of keys as events of the instance's own log: the first use of each epoch and signing key by this process, in one
 * entry each. What can't be recorded now is kept, and recorded with the next; using a key never waits for it.
 */
import { randomUUID } from 'node:crypto';
import type { InstanceId, PrincipalId } from '../../schema/ids.ts';
import { newCorrelationId, Recorder, type EventDraft } from '../recorder.ts';
import type { LogWriter } from '../writer.ts';

interface Used {
  readonly recorder: Recorder | undefined;
  /** Ids that are still to be recorded. */
  readonly pending: Set<string>;
  readonly known: Set<string>;
}

const retryMs = 5000;

export class KeyUses {
  readonly #process = randomUUID();
  /** What kind of process it is, as it stands in the entry: `api`, `worker`. */
  readonly #kind: string;
  readonly #instances = new Map<InstanceId, Used>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  /** `keyId`: `epoch/<n>` or `signing/<n>`. */
  used(instance: InstanceId, keyId: string): void {
    const used = this.#of(instance);
    if (used.known.has(keyId)) return;
    used.known.add(keyId);
    used.pending.add(keyId);
    this.#soon(instance, 0);
  }

  /** From here on uses of the instance's keys are recorded, those before too. */
  attach(instance: InstanceId, writer: LogWriter): void {
    const recorder = new Recorder(writer, `platform/key-use/${randomUUID()}`);
    this.#instances.set(instance, { ...this.#of(instance), recorder });
    this.#soon(instance, 0);
  }

  #of(instance: InstanceId): Used {
    const present = this.#instances.get(instance);
    if (present) return present;
    const used = { recorder: undefined, pending: new Set<string>(), known: new Set<string>() };
    this.#instances.set(instance, used);
    return used;
  }

  /** A process that ends does not wait for it. */
  #soon(instance: InstanceId, ms: number): void {
    setTimeout(() => void this.#record(instance), ms).unref();
  }

  async #record(instance: InstanceId): Promise<void> {
    const { recorder, pending } = this.#of(instance);
    if (!recorder || pending.size === 0) return;
    const ids = [...pending];
    pending.clear();
    try {
      await recorder.record(ids.map((id) => this.#draft(id)));
    } catch {
      for (const id of ids) pending.add(id);
      this.#soon(instance, retryMs);
    }
  }

  #draft(keyId: string): EventDraft {
    return {
      correlationId: newCorrelationId(),
      actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
      action: 'key.use',
      phase: 'observation',
      system: 'trailkeeper',
      resource: { kind: 'key', id: keyId },
      parts: [{ name: 'key', content: { key: keyId, process: `${this.#kind}/${this.#process}` } }],
    };
  }
}
