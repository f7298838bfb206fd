/** What resolvers work with: each instance's trail and control state, opened when it is first asked for. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { ToolCatalogue } from '../domain/action/toolCatalogue.ts';
import type { CheckIntervals } from '../domain/verification/schedule.ts';
import type { InstanceId } from '../schema/ids.ts';
import { findArchiveDemand } from '../store/archives.ts';
import { openControlState } from '../store/control-state.ts';
import { listKeys } from '../store/key-states.ts';
import { openIdentities } from '../store/identities.ts';
import { findInstance, listInstances } from '../store/instances.ts';
import type { CheckpointPlace } from '../trail/anchor.ts';
import { acknowledgeByArchive } from '../trail/archive/acknowledgement.ts';
import type { KeyProvider } from '../trail/keys/provider.ts';
import { Secrets } from '../trail/keys/secrets.ts';
import { Recorder } from '../trail/recorder.ts';
import { openTrail, type TrailClients } from '../trail/trail.ts';
import type { WriterOptions } from '../trail/writer.ts';
import { archiveServices } from './archiveServices.ts';
import { tokenRefused } from './authentication/bearer.ts';
import type { InstanceServices, Services } from './context.ts';
import type { ApiMetrics } from './metrics.ts';

export interface ServicesOptions {
  readonly clients: TrailClients;
  readonly keys: KeyProvider;
  readonly temporal: Client;
  readonly tools: ToolCatalogue;
  readonly metrics: ApiMetrics;
  readonly writer?: Partial<WriterOptions>;
  /** Where checkpoints are kept besides the anchor (trail/anchor.ts). */
  readonly placesOf?: (instance: InstanceId) => readonly CheckpointPlace[];
  readonly nowMs?: () => number;
  readonly checkIntervalsMs?: CheckIntervals;
}

export const createServices = (options: ServicesOptions): Services => {
  const { clients, keys, temporal, tools, metrics, nowMs = Date.now } = options;
  const opened = new Map<InstanceId, Promise<InstanceServices>>();
  // Emitters count from 1, so each process is one of its own.
  const process = randomUUID();

  const openInstance = async (instance: InstanceId): Promise<InstanceServices> => {
    const record = await findInstance(clients.reader, instance);
    // Its creation has not come to its last step: until then its tokens open nothing.
    if (!record) throw tokenRefused();
    const trail = await openTrail(instance, record.origin, {
      clients,
      keys,
      ...(options.writer && { writer: options.writer }),
      ...(options.placesOf && { places: options.placesOf(instance) }),
    });
    const demand = () => findArchiveDemand(clients.reader, instance);
    acknowledgeByArchive(trail.writer, { client: clients.reader, instance, demand });
    metrics.watch(trail);
    const control = openControlState(clients.reader, instance);
    const archive = archiveServices(trail, control, {
      clients,
      keys,
      ...(options.writer && { writer: options.writer }),
    });
    metrics.watchArchive(instance, archive);
    return {
      trail,
      control,
      archive,
      keys: () => listKeys(clients.reader, instance),
      identities: openIdentities(clients.reader, instance, new Secrets(instance, keys, clients.reader)),
      recorder: new Recorder(trail.writer, `platform/api/${process}`),
      controlRecorder: new Recorder(trail.writer, `platform/control/${process}`),
    };
  };

  return {
    temporal,
    tools,
    nowMs,
    ...(options.checkIntervalsMs && { checkIntervalsMs: options.checkIntervalsMs }),
    instances: (after, limit) => listInstances(clients.reader, { after, limit }),
    async opened() {
      const settled = await Promise.allSettled(opened.values());
      return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    },
    open(instance) {
      const known = opened.get(instance);
      if (known) return known;
      const opening = openInstance(instance);
      opened.set(instance, opening);
      // What failed is tried again by the next request.
      opening.catch(() => opened.delete(instance));
      // A closed log goes on under another name at any moment: the next request looks again.
      void opening.then(({ trail }) => trail.closing && opened.delete(instance)).catch(() => undefined);
      return opening;
    },
  };
};
