/** A log of its own with witnesses, whose rounds a test makes one by one, under a clock of its own. */
import { encodeVkey, parseVkey } from '../../domain/tree/note.ts';
import { mongoAnchor } from '../../trail/anchor.ts';
import { Recorder } from '../../trail/recorder.ts';
import { recordStatement } from '../../store/witness-alarms.ts';
import { alertEvent, type WitnessAlert } from '../../trail/witness/alerts.ts';
import { WitnessLoop, type WitnessLoopEvent } from '../../trail/witness/loop.ts';
import { openTestControl, type TestControl } from '../store/control.ts';
import { emitterOf } from '../trail/events.ts';
import type { Witness } from './litewitness.ts';

export interface WitnessedTestLog extends TestControl {
  readonly events: WitnessLoopEvent[];
  readonly alerts: () => WitnessAlert[];
  /** Puts a policy in force. */
  configure(witnesses: readonly Pick<Witness, 'vkey' | 'url'>[], threshold: number, withinMs?: number): Promise<number>;
  /** Appends so many events; returns the size of the log then. */
  grow(events: number): Promise<number>;
  /** One round of a process that knows nothing yet, or of the one that made the last. */
  round(): Promise<void>;
  newProcess(): void;
  /** From now on, statements of witnesses are kept but not recorded; undefined ends it. */
  failRecording(error: Error | undefined): void;
  advance(ms: number): void;
}

export const openWitnessedLog = async (): Promise<WitnessedTestLog> => {
  const control = await openTestControl();
  const { instance, database, trail } = control;
  control.tails({ quiet: true });
  const events: WitnessLoopEvent[] = [];
  const next = emitterOf(`witnessed-${instance}`);
  let skewMs = 0;
  let process = 0;
  let fault: Error | undefined;
  const newLoop = (): WitnessLoop => {
    process += 1;
    const recorder = new Recorder(trail.writer, `platform/witness/${instance}/${process}`);
    return new WitnessLoop({
      client: database.clients.witness,
      anchor: mongoAnchor(database.clients.witness),
      owner: `witness-${instance}`,
      intervalMs: 1000,
      witness: { loopback: true, timeoutMs: 20_000 },
      originOf: async (asked) => (asked === instance ? trail.origin : undefined),
      record: async (_instance, alert) => {
        await recorder.record([alertEvent(alert)]);
      },
      async recordStatement(_instance, alert, statement) {
        if (fault) throw fault;
        await recordStatement(trail.writer, alert, statement);
      },
      async wasMissed() {
        await trail.reader.fresh(10_000);
        const [last] = await trail.reader.findLatest({ action: 'witness.quorum' }, 1);
        return last?.entry.outcome === 'failure';
      },
      onEvent: (event) => {
        if (event.instance === instance) events.push(event);
      },
      nowMs: () => Date.now() + skewMs,
    });
  };
  let loop = newLoop();
  return {
    ...control,
    events,
    alerts: () => events.flatMap((event) => (event.kind === 'alert' ? [event.alert] : [])),
    configure: (witnesses, threshold, withinMs = 60_000) =>
      control.change({
        change: 'witness.configure',
        witnesses: witnesses.map(({ vkey, url }) => ({ vkey, url })),
        threshold,
        withinMs,
      }),
    async grow(count) {
      await trail.writer.append(
        Array.from({ length: count }, () => next()),
        'platform',
      );
      return trail.reader.size();
    },
    round: () => loop.round(),
    newProcess: () => {
      loop = newLoop();
    },
    failRecording: (error) => {
      fault = error;
    },
    advance: (ms) => (skewMs += ms),
  };
};

/** The key of the log, as a third party holds it. */
export const logKeyOf = ({ trail }: Pick<TestControl, 'trail'>) => {
  const key = parseVkey(trail.vkey);
  if (encodeVkey(key) !== trail.vkey) throw new Error('the verifier key does not survive being read');
  return key;
};
