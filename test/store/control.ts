/** A log whose control entries a test applies by hand, or lets a tail apply. */
import type { Document } from 'mongodb';
import type { ControlChange } from '../../schema/control.ts';
import { createControlTail } from '../../store/applier.ts';
import { openControlState, type ControlState } from '../../store/control-state.ts';
import { controlDatabase, type ControlCollection } from '../../store/provisioning/collections.ts';
import { recordVoids, type VoidedEntry } from '../../store/voids.ts';
import type { KeyProvider } from '../../trail/keys/provider.ts';
import { Secrets } from '../../trail/keys/secrets.ts';
import { allSegments, parseEntry, segmentEntries, segmentsOf } from '../../trail/segments.ts';
import { TailRunner } from '../../trail/tails/runner.ts';
import type { Tail, TailedBatch, TailedEntry } from '../../trail/tails/tail.ts';
import { event } from '../trail/events.ts';
import { openTestTrail, type TestTrail } from '../trail/open.ts';

export interface Part {
  readonly name: string;
  readonly content: unknown;
}

export interface TestControl extends TestTrail {
  readonly state: ControlState;
  readonly secrets: Secrets;
  readonly tail: Tail;
  readonly voids: VoidedEntry[];
  /** Appends a control entry; returns its log index. */
  record(change: ControlChange, part?: Part, changes?: Record<string, unknown>): Promise<number>;
  /** Everything in the log from an index on, as the runner would give it. */
  batch(first?: number): Promise<TailedBatch>;
  /** Applies what is in the log from an index on. */
  apply(first?: number): Promise<void>;
  /** Records and applies it; returns its log index. */
  change(change: ControlChange, part?: Part): Promise<number>;
  /** All of the instance's documents in the control collections that the applier writes. */
  dump(): Promise<Record<string, Document[]>>;
  /** Starts the control tail. */
  follow(): TailRunner;
}

const applied = [
  'instances',
  'principals',
  'identities',
  'tokens',
  'policies',
  'versions',
  'connectors',
  'delegations',
] as const satisfies readonly ControlCollection[];

export const openTestControl = async (provider?: KeyProvider): Promise<TestControl> => {
  const log = await openTestTrail({}, provider);
  const { instance, trail, database, keys } = log;
  const { applier, reader } = database.clients;
  const voids: VoidedEntry[] = [];
  const onVoid = recordVoids({
    writerOf: () => Promise.resolve(trail.writer),
    alarm: (voided) => voids.push(voided),
  });
  const tail = createControlTail(applier, keys, onVoid);
  const runners: TailRunner[] = [];

  const record: TestControl['record'] = async (change, part, changes = {}) => {
    const [result] = await trail.writer.append([controlEvent(change, part, changes)], 'platform');
    if (result?.status !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(result)}`);
    return result.receipt.index;
  };
  const batch: TestControl['batch'] = async (first = 0) => {
    const entries: TailedEntry[] = [];
    for (const segment of await segmentsOf(applier, instance).find(allSegments).sort({ _id: 1 }).toArray())
      for (const [position, bytes] of segmentEntries(segment).entries()) {
        const leaf = segment.leaves.buffer.subarray(32 * position, 32 * position + 32);
        const index = segment._id + position;
        entries.push({ index, bytes, leaf, entry: parseEntry(bytes), segment: segment._id });
      }
    return { instance, first, entries: entries.filter(({ index }) => index >= first) };
  };
  const apply = async (first = 0) => tail.apply(await batch(first));

  return {
    ...log,
    state: openControlState(reader, instance),
    secrets: new Secrets(instance, keys, applier),
    tail,
    voids,
    record,
    batch,
    apply,
    async change(change, part) {
      const index = await record(change, part);
      await apply(index);
      return index;
    },
    async dump() {
      const documents: Record<string, Document[]> = {};
      for (const name of applied)
        documents[name] = await database.admin
          .db(controlDatabase)
          .collection<{ _id: string }>(name)
          .find({ _id: { $regex: `^${instance}(/|$)` } })
          .sort({ _id: 1 })
          .toArray();
      return documents;
    },
    follow() {
      const runner = new TailRunner({
        owner: 'test-control',
        tails: [tail],
        onError: (name, _instance, error) => console.error(`tail ${name}:`, error),
      });
      runner.follow(instance);
      runners.push(runner);
      return runner;
    },
    async close() {
      await Promise.all(runners.map((runner) => runner.stop()));
      await log.close();
    },
  };
};

export const controlEvent = (change: ControlChange, part?: Part, changes: Record<string, unknown> = {}) =>
  event({
    action: change.change,
    phase: 'outcome',
    outcome: 'success',
    system: 'trailkeeper',
    actor: { principal: 'ines', kind: 'human' },
    control: change,
    parts: part === undefined ? [] : [part],
    ...changes,
  });
