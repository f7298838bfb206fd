/** The witness loop of a worker: under the MongoDB user of its duty, recording through the instances' own writers. */
import { randomUUID } from 'node:crypto';
import type { MongoClient } from 'mongodb';
import { placeOf, type Log } from '../api/log.ts';
import type { InstanceId } from '../schema/ids.ts';
import { recordStatement } from '../store/witness-alarms.ts';
import { mongoAnchor } from '../trail/anchor.ts';
import { Recorder } from '../trail/recorder.ts';
import type { Trail } from '../trail/trail.ts';
import { alertEvent } from '../trail/witness/alerts.ts';
import { WitnessLoop, type WitnessLoopEvent } from '../trail/witness/loop.ts';

export interface WitnessingOptions {
  /** Of the duty witness. */
  readonly client: MongoClient;
  readonly trailOf: (instance: InstanceId) => Promise<Trail>;
  readonly intervalMs: number;
  readonly loopback: boolean;
  readonly log: Log;
}

const indexMs = 5000;

/** Running; `stop` lets what is under way end. */
export const startWitnessing = (options: WitnessingOptions): WitnessLoop => {
  const { client, trailOf, intervalMs, loopback, log } = options;
  const owner = randomUUID();
  const recorders = new Map<InstanceId, Recorder>();
  const recorderOf = async (instance: InstanceId): Promise<Recorder> => {
    const known = recorders.get(instance);
    if (known) return known;
    const { writer, closing } = await trailOf(instance);
    // A closed log goes on under another name at any moment, with another writer.
    if (closing) return new Recorder(writer, `platform/witness/${randomUUID()}`);
    const made = recorders.get(instance) ?? new Recorder(writer, `platform/witness/${owner}`);
    recorders.set(instance, made);
    return made;
  };
  const loop = new WitnessLoop({
    client,
    anchor: mongoAnchor(client),
    owner,
    intervalMs,
    witness: { loopback },
    originOf: async (instance) => (await trailOf(instance)).origin,
    record: async (instance, alert) => {
      await (await recorderOf(instance)).record([alertEvent(alert)]);
    },
    recordStatement: async (instance, alert, statement) =>
      recordStatement((await trailOf(instance)).writer, alert, statement),
    async wasMissed(instance) {
      const { reader } = await trailOf(instance);
      await reader.fresh(indexMs);
      const [last] = await reader.findLatest({ action: 'witness.quorum' }, 1);
      return last?.entry.outcome === 'failure';
    },
    onEvent: (event) => tell(event, log),
  });
  loop.start();
  return loop;
};

const tell = (event: WitnessLoopEvent, log: Log): void => {
  const { instance } = event;
  switch (event.kind) {
    case 'alert': {
      const { alert } = event;
      const good = alert.kind === 'quorum' ? alert.reached : alert.statement === 'agrees';
      const what = alert.kind === 'quorum' ? 'the quorum of witnesses' : 'a witness on the history of a log';
      return log({
        level: good ? 'info' : 'error',
        message: `${what}: ${good ? 'in order again' : 'alert'}`,
        instance: instance!,
        size: alert.size,
        ...(alert.kind === 'contradiction' && { witness: alert.witness, statement: alert.statement }),
      });
    }
    case 'halted':
      return log({
        level: 'error',
        message: 'witnesses contradict the log: no writer extends it any more',
        instance: instance!,
        code: event.code,
      });
    case 'error':
      return log({
        level: 'warn',
        message: 'witnesses will be asked again',
        ...(instance !== undefined && { instance }),
        ...placeOf(event.error),
      });
  }
  return event satisfies never;
};
