/**
 * Events as they are appended: pages of the index, one after the other, in log order, each row once. Polled with
 * back-off, so that an idle subscription costs about two small reads a second.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Filter } from 'mongodb';
import type { IndexRow } from '../../trail/projection.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';

const pollMsMin = 25;
const pollMsMax = 500;
const pageSize = 200;

/** Rows from `from` on that match, until the signal. Ends there without an error. */
export async function* follow(
  reader: TrailReader,
  filter: Filter<IndexRow>,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<IndexedEvent, void, undefined> {
  let next = from;
  let waitMs = pollMsMin;
  while (!signal.aborted) {
    const upTo = await reader.indexed();
    if (upTo <= next) {
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      waitMs = Math.min(waitMs * 1.5, pollMsMax);
      continue;
    }
    waitMs = pollMsMin;
    const page = await reader.find({ $and: [filter, { _id: { $gte: next, $lt: upTo } }] }, { limit: pageSize });
    for (const event of page) {
      if (signal.aborted) return;
      yield event;
    }
    next = page.length === pageSize ? page.at(-1)!.index + 1 : upTo;
  }
}
