/** The state of each emitter beside the numbers of its entries, as the index (which was compared with the record) has them. */
import type { Difference } from '../../domain/verification/difference.ts';
import { lookedAtNothing } from '../../domain/verification/looked.ts';
import { fitsScan, SequenceScan } from '../../domain/verification/emitterState.ts';
import { emittersOf, indexOf, type EmitterRow } from '../projection.ts';
import { indexedTo } from './rows-check.ts';
import type { Walked } from './record-walk.ts';
import type { VerifiedLog } from './verified-log.ts';

export interface EmittersWalked extends Pick<Walked, 'looked' | 'differences'> {
  /** The last emitter that was looked at; undefined when all were. */
  readonly next: string | undefined;
}

/** Looks at `emittersMax` emitters after `after`, by id: those that have a state and those that have entries. */
export const walkEmitters = async (
  log: VerifiedLog,
  { after, emittersMax, signal }: { after: string | undefined; emittersMax: number; signal?: AbortSignal },
): Promise<EmittersWalked> => {
  const differences: Difference[] = [];
  let last = after;
  for (let emitters = 0; ; emitters += 1) {
    const looked = { ...lookedAtNothing, emitters };
    if (emitters >= emittersMax) return { next: last, looked, differences };
    signal?.throwIfAborted();
    const emitter = await nextEmitter(log, last);
    if (emitter === undefined) return { next: undefined, looked, differences };
    last = emitter;
    const found = await faultOf(log, emitter);
    if (found) differences.push(found);
  }
};

/** Emitters by id, whether they stand in the index, among the states, or in both. */
export const nextEmitter = async (
  { client, instance }: VerifiedLog,
  after: string | undefined,
): Promise<string | undefined> => {
  const beyond = after === undefined ? { $gte: '' } : { $gt: after };
  const [row, state] = await Promise.all([
    indexOf(client, instance).findOne(
      { emitter: beyond },
      { sort: { emitter: 1, seq: 1 }, projection: { emitter: 1 } },
    ),
    emittersOf(client, instance).findOne({ _id: beyond }, { sort: { _id: 1 }, projection: { _id: 1 } }),
  ]);
  const ids = [row?.emitter, state?._id].filter((id) => id !== undefined);
  return ids.length === 0 ? undefined : ids.reduce((a, b) => (compare(a, b) <= 0 ? a : b));
};

/** As MongoDB orders strings: by their UTF-8 bytes. */
const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

const looksMax = 3;

const faultOf = async (log: VerifiedLog, emitter: string): Promise<Difference | undefined> => {
  for (let look = 1; ; look += 1) {
    const before = await emittersOf(log.client, log.instance).findOne({ _id: emitter });
    const kind = await kindOf(log, emitter, before);
    // The tail may have moved on between the two reads: what differs must still be as it was.
    const after = await emittersOf(log.client, log.instance).findOne({ _id: emitter });
    if (kind === undefined || after?.through === before?.through || look === looksMax)
      return kind && { kind, store: 'emitters', place: `emitters/${emitter}` };
  }
};

const kindOf = async (
  log: VerifiedLog,
  emitter: string,
  state: EmitterRow | null,
): Promise<Difference['kind'] | undefined> => {
  const indexed = await indexedTo(log);
  const scan = await scanNumbers(log, emitter, state?.through ?? indexed - 1);
  if (!state) return scan.high > 0 ? 'emitter-missing' : undefined;
  if (scan.high === 0) return 'emitter-forged';
  return fitsScan(state, scan) && state.through === scan.lastIndex ? undefined : 'emitter-altered';
};

/** Numbers of an emitter's entries up to a log index. */
export const scanNumbers = async (
  { client, instance }: VerifiedLog,
  emitter: string,
  through: number,
): Promise<SequenceScan> => {
  const scan = new SequenceScan();
  const rows = indexOf(client, instance)
    .find({ emitter }, { projection: { seq: 1 } })
    .sort({ emitter: 1, seq: 1 });
  for await (const { _id, seq } of rows) if (_id <= through) scan.add(seq, _id);
  return scan;
};
