/**
 * The steps that make an instance, each of which can be done again after a crash at any line of it. Whoever creates
 * instances does these, and there is no other way: the workflow `createInstance`, a local start, and the maintenance
 * process for the platform's own two.
 */
import type { MongoClient } from 'mongodb';
import { creationEmitter, type CreationReference } from '../../domain/instances/contract.ts';
import { creationCorrelation, instancePart } from '../../domain/instances/request.ts';
import { platformEvent } from '../../schema/event.ts';
import { eventIdTimeMs, type EventId, type InstanceId, type PrincipalId } from '../../schema/ids.ts';
import { firstEntryOf } from '../../store/creation-ids.ts';
import {
  activateInstance,
  beginUndoing,
  findCreation,
  releaseName,
  reserveInstance,
  type CreationRecord,
} from '../../store/instances.ts';
import { dropInstance, provisionInstanceDatabase } from '../../store/provisioning/provision.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { openTrail, type Trail } from '../../trail/trail.ts';

/** Where an instance's second copy goes. Its credentials are confined to this one instance. */
export interface InstanceArchive {
  /** Makes the place, if it is not there. */
  prepare(instance: InstanceId, origin: string): Promise<void>;
  /** Takes away the place of an instance that never came to be. What is under a lock stays: nobody refers to it. */
  discard(instance: InstanceId, origin: string): Promise<void>;
}

export interface StepsOptions {
  readonly clients: {
    /** The administrator's connection. */
    readonly admin: MongoClient;
    readonly provisioner: MongoClient;
    readonly appender: MongoClient;
    readonly anchor: MongoClient;
    readonly reader: MongoClient;
  };
  readonly keys: KeyProvider;
  readonly archive: InstanceArchive;
  /** Secrets that every instance has besides those that its trail makes. */
  readonly secretNames: readonly string[];
  /** Where logs are served: `host[:port]`. */
  readonly logHost: string;
  readonly nowMs: () => number;
}

/** `INSTANCE_EXISTS`: the name is another's. `INSTANCE_GONE`: this request was undone, or never had the name. */
export class InstanceStepError extends Error {
  override readonly name = 'InstanceStepError';
  readonly code: 'INSTANCE_EXISTS' | 'INSTANCE_GONE';

  constructor(code: 'INSTANCE_EXISTS' | 'INSTANCE_GONE') {
    super(code === 'INSTANCE_EXISTS' ? 'another instance has this name' : 'this creation was undone');
    this.code = code;
  }
}

export class InstanceSteps {
  readonly #options: StepsOptions;

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** Takes the name; the record that it leaves is seen by nobody but who creates and who follows logs. */
  async reserve({ instance, request }: CreationReference): Promise<void> {
    const { clients, logHost, nowMs } = this.#options;
    const now = new Date(nowMs());
    const state = await reserveInstance(clients.provisioner, { instance, request, logHost, now });
    if (state === 'taken') throw new InstanceStepError('INSTANCE_EXISTS');
  }

  async prepareDatabase(reference: CreationReference): Promise<void> {
    await this.#record(reference);
    await provisionInstanceDatabase(this.#options.clients.admin, reference.instance);
  }

  async prepareKeys(reference: CreationReference): Promise<void> {
    const { origin } = await this.#record(reference);
    const { clients, keys, secretNames } = this.#options;
    await this.open(reference.instance, origin);
    await new Secrets(reference.instance, keys, clients.appender).ensure(secretNames);
  }

  async prepareArchive(reference: CreationReference): Promise<void> {
    const { origin } = await this.#record(reference);
    await this.#options.archive.prepare(reference.instance, origin);
  }

  /**
   * The first entry: that there is this log, who asked for it in which request, and under which key. Its receipt is the
   * first checkpoint, which is signed and anchored before this returns.
   */
  async begin(reference: CreationReference): Promise<Trail> {
    const { instance, request } = reference;
    const { origin } = await this.#record(reference);
    const trail = await this.open(instance, origin);
    const [result] = await trail.writer.append([firstEntry(trail, request)], 'platform');
    // Under this id there is nothing but this entry, from another moment.
    if (result?.status === 'refused' && result.refusal.code !== 'ID_CONFLICT')
      throw new Error(`the first entry was refused: ${result.refusal.code}`);
    return trail;
  }

  /** Throws INSTANCE_GONE where the request was undone meanwhile. */
  async activate({ instance, request }: CreationReference): Promise<void> {
    if (!(await activateInstance(this.#options.clients.provisioner, instance, request)))
      throw new InstanceStepError('INSTANCE_GONE');
  }

  /**
   * The name is let go last: until then nobody can take it, and what a crash leaves is found and undone again. A step
   * of this request that is still under way elsewhere finds that it is being undone, before it makes anything.
   */
  async discard({ instance, request }: CreationReference): Promise<'discarded' | 'active'> {
    const { clients, archive } = this.#options;
    const undoing = await beginUndoing(clients.provisioner, instance, request);
    const record = await findCreation(clients.provisioner, instance);
    if (record?.request !== request) return 'discarded';
    if (!undoing) return 'active';
    await dropInstance(clients.admin, instance, record.origin);
    await archive.discard(instance, record.origin);
    await releaseName(clients.provisioner, instance, request);
    return 'discarded';
  }

  async record(reference: CreationReference): Promise<CreationRecord> {
    return this.#record(reference);
  }

  open(instance: InstanceId, origin: string): Promise<Trail> {
    const { clients, keys } = this.#options;
    return openTrail(instance, origin, { clients, keys });
  }

  async #record({ instance, request }: CreationReference): Promise<CreationRecord> {
    const record = await findCreation(this.#options.clients.provisioner, instance);
    if (record?.request !== request || record.state === 'undoing') throw new InstanceStepError('INSTANCE_GONE');
    return record;
  }
}

const firstEntry = ({ instance, origin, vkey }: Trail, request: EventId) =>
  platformEvent.parse({
    ...firstEntryOf(instance, request),
    correlationId: creationCorrelation(request),
    emitter: { id: creationEmitter(request), sequence: 1 },
    eventTime: new Date(eventIdTimeMs(request)).toISOString(),
    actor: { principal: 'platform' as PrincipalId, kind: 'platform' },
    action: 'instance.create',
    phase: 'outcome',
    outcome: 'success',
    system: 'trailkeeper',
    parts: [{ name: instancePart, content: { instance, origin, vkey } }],
  });
