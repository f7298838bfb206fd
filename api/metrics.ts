/** What the process measures of itself, for Prometheus. No label holds an id, a principal or content. */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { InstanceId } from '../schema/ids.ts';
import type { Trail } from '../trail/trail.ts';
import type { ArchiveServices } from './archiveServices.ts';
import { VerificationAges } from './verificationAges.ts';

export type CountedRead = 'checkpoint' | 'tile' | 'bundle' | 'proof' | 'self-check';

const secondsBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class ApiMetrics {
  readonly registry = new Registry();
  readonly requests: Histogram<'door' | 'status'>;
  readonly errors: Counter<'code'>;
  readonly appends: Histogram<'result'>;
  readonly appendsWaiting: Gauge;
  readonly subscriptions: Gauge;
  readonly indexBehind: Gauge;
  readonly archiveBehind: Gauge;
  readonly archiveLag: Gauge;
  readonly sinceVerified: Gauge<'kind'>;
  readonly #reads: Counter<'kind'>;
  readonly #trails = new Map<InstanceId, Trail>();
  readonly #archives = new Map<InstanceId, ArchiveServices>();

  constructor() {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.requests = new Histogram({
      name: 'trailkeeper_http_request_seconds',
      help: 'Time from the request to the end of its answer.',
      labelNames: ['door', 'status'],
      buckets: secondsBuckets,
      registers,
    });
    this.errors = new Counter({
      name: 'trailkeeper_errors_total',
      help: 'GraphQL errors and refused requests, by code.',
      labelNames: ['code'],
      registers,
    });
    this.appends = new Histogram({
      name: 'trailkeeper_append_seconds',
      help: 'Time from the call of append to the receipts.',
      labelNames: ['result'],
      buckets: secondsBuckets,
      registers,
    });
    this.appendsWaiting = new Gauge({
      name: 'trailkeeper_append_events_waiting',
      help: 'Events that were given to append and have no receipt yet.',
      registers,
    });
    this.subscriptions = new Gauge({
      name: 'trailkeeper_subscriptions',
      help: 'Open subscriptions.',
      registers,
    });
    this.#reads = new Counter({
      name: 'trailkeeper_counted_reads_total',
      help: 'Reads that are counted and not recorded: checkpoints, tiles, proofs, self-checks.',
      labelNames: ['kind'],
      registers,
    });
    const archives = this.#archives;
    const lags = async () =>
      Promise.all([...archives.values()].map((archive) => archive.lag(Date.now()).catch(() => undefined)));
    this.archiveBehind = new Gauge({
      name: 'trailkeeper_archive_behind_entries',
      help: 'Acknowledged entries that the archive does not hold yet, in the instance where there are most.',
      registers,
      async collect() {
        this.set(Math.max(0, ...(await lags()).map((lag) => lag?.behind ?? 0)));
      },
    });
    this.archiveLag = new Gauge({
      name: 'trailkeeper_archive_lag_seconds',
      help: 'How long the first entry that the archive does not hold has waited, in the instance where it is longest.',
      registers,
      async collect() {
        this.set(Math.max(0, ...(await lags()).map((lag) => (lag?.lagMs ?? 0) / 1000)));
      },
    });
    const trails = this.#trails;
    const ages = new VerificationAges(() => trails.values());
    this.sinceVerified = new Gauge({
      name: 'trailkeeper_since_verified_seconds',
      help: 'Time since a self-verification of this kind ended, in the instance where it is longest ago.',
      labelNames: ['kind'],
      registers,
      async collect() {
        for (const [kind, seconds] of Object.entries(await ages.seconds())) this.set({ kind }, seconds);
      },
    });
    this.indexBehind = new Gauge({
      name: 'trailkeeper_index_behind_entries',
      help: 'Acknowledged entries that the index does not hold yet, in the instance where there are most.',
      registers,
      async collect() {
        // A database that is away shows in readiness; the other metrics are still to be had.
        const behind = [...trails.values()].map(({ reader }) => reader.fresh(0).catch(() => 0));
        this.set(Math.max(0, ...(await Promise.all(behind))));
      },
    });
  }

  /** Shows how far the archive of an instance is behind. */
  watchArchive(instance: InstanceId, archive: ArchiveServices): void {
    this.#archives.set(instance, archive);
  }

  countRead(kind: CountedRead): void {
    this.#reads.inc({ kind });
  }

  /** Measures the appends of a trail, and shows how far its index is behind. */
  watch(trail: Trail): void {
    this.#trails.set(trail.instance, trail);
    const { writer } = trail;
    const append = writer.append.bind(writer);
    writer.append = async (events, provenance, conditions) => {
      const done = this.appends.startTimer();
      this.appendsWaiting.inc(events.length);
      try {
        const results = await append(events, provenance, conditions);
        done({ result: 'ok' });
        return results;
      } catch (error) {
        done({ result: 'error' });
        throw error;
      } finally {
        this.appendsWaiting.dec(events.length);
      }
    };
  }
}
