import { uuid4 } from '@temporalio/workflow';
import type { EntrySlot } from '../domain/action/contract.ts';
import { eventIdOf } from '../domain/action/entryIds.ts';
import type { EventId } from '../schema/ids.ts';

/** A new id of the workflow's time and randomness: a replay makes the same again. */
export const newEntryId = (): EventId => eventIdOf(Date.now(), uuid4());

/** Numbers the entries of one action without gaps. The intent is its first; whoever appends tells the next free one. */
export class EntryNumbers {
  #next = 2;

  /** A slot for the next entry. Nothing is used up until `usedUpTo` says so. */
  slot(offset = 0): EntrySlot {
    return { id: newEntryId(), sequence: this.#next + offset };
  }

  /** `next`: the first number that is free. */
  usedUpTo(next: number): void {
    this.#next = next;
  }

  /** A slot whose one entry will be appended. */
  take(): EntrySlot {
    const slot = this.slot();
    this.#next += 1;
    return slot;
  }
}
