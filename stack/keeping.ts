/**
 * Keys in a worker: the activities of rotation, and a look now and then at what a rotation left behind. A process that was
 * frozen through a rotation may write under a closed epoch afterwards: nobody uses that, and it is put under the current
 * one. A key that a provider was to destroy later is noted as destroyed once it is.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { platformActor } from '../activities/action/entries.ts';
import { createKeyActivities } from '../activities/keys/createKeyActivities.ts';
import { placeOf, type Log } from '../api/log.ts';
import type { KeyActivities } from '../domain/keys/contract.ts';
import { epochKeyId } from '../domain/signing-schedule.ts';
import type { InstanceId } from '../schema/ids.ts';
import { openControlState } from '../store/control-state.ts';
import { listInstances } from '../store/instances.ts';
import { findKeyring } from '../store/keyrings.ts';
import { destroyEpoch } from '../trail/keys/epochs.ts';
import { isGone } from '../trail/keys/keyring.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { countUnder, rewrapAll } from '../trail/keys/rewrap.ts';
import { newCorrelationId, Recorder } from '../trail/recorder.ts';
import type { Trail } from '../trail/trail.ts';

export interface KeepingOptions {
  readonly clients: { readonly reader: MongoClient; readonly keeper: MongoClient };
  readonly keys: KeyProvider;
  readonly trailOf: (instance: InstanceId) => Promise<Trail>;
  readonly log: Log;
}

const everyMs = 30_000;

export const keyActivities = ({ clients, keys, trailOf }: KeepingOptions): KeyActivities =>
  createKeyActivities({
    open: async (instance) => ({
      trail: await trailOf(instance),
      control: openControlState(clients.reader, instance),
    }),
    provider: keys,
    keeper: clients.keeper,
  });

/** `stop` ends it. */
export const startKeeping = (options: KeepingOptions): { stop(): Promise<void> } => {
  const { clients, log } = options;
  const stopping = new AbortController();
  const process = randomUUID();
  const done = (async () => {
    while (!stopping.signal.aborted) {
      const again = (error: unknown): void =>
        log({ level: 'warn', message: 'the keys will be looked at again', ...placeOf(error) });
      const instances = await listInstances(clients.reader).catch((error: unknown) => {
        again(error);
        return [];
      });
      // Each by itself: a log that is closed, or a key that the provider refuses, is no matter of the others.
      for (const { instance } of instances) await keep(instance, options, process).catch(again);
      await delay(everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
};

/** One look at the keys of an instance; exported for tests. */
export const keep = async (
  instance: InstanceId,
  { clients: { keeper }, keys, trailOf }: KeepingOptions,
  process: string,
): Promise<void> => {
  const keyring = await findKeyring(keeper, instance);
  for (const { epoch, state, until, keyId } of keyring?.epochs ?? []) {
    const isDone = state === 'closed' || isGone(state);
    if (isDone && (await countUnder(keeper, instance, epoch)) > 0) await rewrapAll(keeper, keys, instance);
    if (state !== 'pending' || until === undefined || until.getTime() > Date.now()) continue;
    const { destruction } = await destroyEpoch(keeper, keys, instance, epoch);
    if (destruction.state !== 'destroyed') continue;
    const { writer } = await trailOf(instance);
    await new Recorder(writer, `platform/keeper/${process}/${epoch}`).record([
      {
        correlationId: newCorrelationId(),
        actor: platformActor,
        action: 'key.outcome',
        phase: 'outcome',
        outcome: 'success',
        system: 'trailkeeper',
        resource: { kind: 'key', id: epochKeyId(epoch) },
        parts: [
          { name: 'key', content: { key: epochKeyId(epoch), keyId, state: 'destroyed', until: until.toISOString() } },
        ],
      },
    ]);
  }
};
