/**
 * Rotation and destruction of an instance's keys. The record comes first: a new key exists before it, and is used from
 * its entry on; the old one is retired by another entry, when nothing rests on it any more. A crash of a worker anywhere loses
 * one step, which is taken again.
 */
import { ApplicationFailure, proxyActivities, setHandler, sleep, uuid4 } from '@temporalio/workflow';
import {
  keyFailures,
  type DestructionInput,
  type DestructionResult,
  type KeyActivities,
  type KeyEntrySlot,
  type MasterRotationInput,
  type RotationInput,
  type RotationProgress,
  type RotationResult,
} from '../domain/keys/contract.ts';
import { numberOfKeyId } from '../domain/signing-schedule.ts';
import { newEntryId } from './entryNumbers.ts';
import { rotationProgressQuery } from './keyMessages.ts';

/** Waits for MongoDB, the trail and the provider for as long as it takes: a rotation that was begun is to end. */
const keys = proxyActivities<KeyActivities>({
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '30 seconds',
  retry: { initialInterval: 500, backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Each round moves what processes made under the old key while the one before ran: few, and then none. */
const roundsMax = 20;

const slots = () => {
  const rotation = uuid4();
  let sequence = 0;
  let last: KeyEntrySlot | undefined;
  return (): KeyEntrySlot => {
    last = {
      rotation,
      id: newEntryId(),
      sequence: (sequence += 1),
      nowMs: Date.now(),
      ...(last && { causedBy: last.id }),
    };
    return last;
  };
};

export const rotateKey = async (input: RotationInput): Promise<RotationResult> => {
  const { instance, key, requestedBy: by } = input;
  let progress: RotationProgress = { key, stage: 'making', from: null, to: null, rewrapped: 0 };
  setHandler(rotationProgressQuery, () => progress);
  const slot = slots();

  const { from, to, vkey } = await keys.makeKey({ instance, key });
  const rotated = await keys.changeKey({
    instance,
    slot: slot(),
    change: { change: 'key.rotate', key, from, to, ...(vkey !== undefined && { vkey }) },
    by,
  });
  progress = { ...progress, from, to, stage: key === 'epoch' ? 'moving' : 'overlap' };

  let moved = 0;
  const moveAll = async (): Promise<void> => {
    for (let round = 1; ; round += 1) {
      const done = await keys.moveToEpoch({ instance });
      moved += done.moved;
      progress = { ...progress, rewrapped: moved };
      if (done.unreadable > 0) {
        const detail = { unreadable: done.unreadable, rewrapped: moved };
        await keys.recordKeyOutcome({ instance, slot: slot(), key: from, outcome: 'failure', detail });
        // The old key stays, since there may be a way to read these yet.
        throw ApplicationFailure.nonRetryable(keyFailures.unreadable, keyFailures.unreadable);
      }
      if (done.moved === 0 || round === roundsMax) return;
    }
  };
  if (key === 'epoch') await moveAll();
  else await sleep(input.overlapMs);

  progress = { ...progress, stage: 'retiring' };
  const retired = await keys.changeKey({ instance, slot: slot(), change: { change: 'key.retire', key, id: from }, by });
  // What was made under the old epoch key before it was closed, and what is read from now on waits for.
  if (key === 'epoch') await moveAll();
  else await keys.destroySeed({ instance, id: from, retired: retired.index });
  const detail = { to, rotated: rotated.index, retired: retired.index, rewrapped: moved };
  await keys.recordKeyOutcome({ instance, slot: slot(), key: from, outcome: 'success', detail });
  progress = { ...progress, stage: 'ended' };
  return { from, to, rotated: rotated.index, retired: retired.index };
};

/** The master key of the whole installation. The record comes before the effect, in every instance's log. */
export const rotateMasterKey = async ({ instance }: MasterRotationInput): Promise<{ from: string; to: string }> => {
  const slot = slots();
  const first = slot();
  const { from, to } = await keys.prepareMaster();
  const recorded = await keys.recordMaster({ rotation: first.rotation, from, to, nowMs: first.nowMs });
  await keys.completeMaster();
  await keys.recordKeyOutcome({ instance, slot: first, key: from, outcome: 'success', detail: { to, ...recorded } });
  return { from, to };
};

export const destroyEpochKey = async (input: DestructionInput): Promise<DestructionResult> => {
  const { instance, epoch, requestedBy: by } = input;
  const slot = slots();
  const id = `epoch/${epoch}`;
  if (numberOfKeyId('epoch', id) === undefined)
    throw ApplicationFailure.nonRetryable(keyFailures.void, keyFailures.void);
  // Once more, since a process that was frozen for long may have written under it meanwhile.
  const { unreadable } = await keys.moveToEpoch({ instance });
  // Nothing is recorded yet, and the key stays: there may be a way to read these while it is there.
  if (unreadable > 0) throw ApplicationFailure.nonRetryable(keyFailures.unreadable, keyFailures.unreadable);
  await keys.changeKey({ instance, slot: slot(), change: { change: 'key.destroy', key: 'epoch', id }, by });
  const { keyId, state, until } = await keys.destroyEpoch({ instance, epoch });
  const outcome = state === 'destroyed' ? 'success' : 'pending';
  const detail = { keyId, state, until };
  const { index } = await keys.recordKeyOutcome({ instance, slot: slot(), key: id, outcome, detail });
  return { keyId, state, until, index };
};
