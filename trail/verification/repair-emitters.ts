/** Makes the state of each emitter what its entries give, as the index (mended before) has them. */
import { fitsScan } from '../../domain/verification/emitterState.ts';
import { emptyEmitter, observe, type EmitterState } from '../../domain/emitters.ts';
import { majority } from '../database.ts';
import { emittersOf, indexOf, type EmitterRow } from '../projection.ts';
import { nextEmitter, scanNumbers } from './emitters-check.ts';
import type { Mending } from './repair-record-projections.ts';
import { indexedTo } from './rows-check.ts';
import type { VerifiedLog } from './verified-log.ts';

export const repairEmitters = async (
  mending: Mending,
  { after, emittersPerStep }: { after: string | undefined; emittersPerStep: number },
): Promise<{ next: string | undefined; mended: number }> => {
  let mended = 0;
  let last = after;
  for (let looked = 0; looked < emittersPerStep; looked += 1) {
    mending.signal.throwIfAborted();
    const emitter = await nextEmitter(mending.log, last);
    if (emitter === undefined) return { next: undefined, mended };
    last = emitter;
    while (!(await isRight(mending.log, emitter))) if (await rewrite(mending, emitter)) mended += 1;
  }
  return { next: last, mended };
};

const isRight = async (log: VerifiedLog, emitter: string): Promise<boolean> => {
  const state = await emittersOf(log.client, log.instance).findOne({ _id: emitter });
  const scan = await scanNumbers(log, emitter, state?.through ?? (await indexedTo(log)) - 1);
  if (!state || scan.high === 0) return !state && scan.high === 0;
  return fitsScan(state, scan) && state.through === scan.lastIndex;
};

/** False where the tail wrote meanwhile: then its state is looked at anew. */
const rewrite = async ({ log, projector }: Mending, emitter: string): Promise<boolean> => {
  const emitters = emittersOf(projector, log.instance);
  const before = await emitters.findOne({ _id: emitter });
  const folded = await fold(log, emitter, before?.through ?? (await indexedTo(log)) - 1);
  if (!folded)
    return (
      before !== null &&
      (await emitters.deleteOne({ _id: emitter, through: before.through }, majority)).deletedCount === 1
    );
  const { _id, ...replacement } = folded;
  if (!before)
    return (
      (await emitters.updateOne({ _id }, { $setOnInsert: replacement }, { upsert: true, ...majority }))
        .upsertedCount === 1
    );
  return (await emitters.replaceOne({ _id, through: before.through }, replacement, majority)).matchedCount === 1;
};

/** The state as the tail makes it: from the entries in the order of the log. */
const fold = async (log: VerifiedLog, emitter: string, through: number): Promise<EmitterRow | undefined> => {
  let state: EmitterState = emptyEmitter;
  let last = -1;
  const numbers: { index: number; sequence: number }[] = [];
  const rows = indexOf(log.client, log.instance).find({ emitter, _id: { $lte: through } }, { projection: { seq: 1 } });
  for await (const { _id, seq } of rows) numbers.push({ index: _id, sequence: seq });
  for (const { index, sequence } of numbers.toSorted((a, b) => a.index - b.index)) {
    ({ state } = observe(state, sequence));
    last = index;
  }
  return last < 0 ? undefined : { _id: emitter, ...state, through: last };
};
