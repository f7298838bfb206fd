/**
 * Gathers what comes one by one into batches: as many as are there, at most so many, without keeping the first of them
 * waiting for long.
 */
export interface BatchLimits<T> {
  readonly itemsMax: number;
  readonly bytesMax: number;
  readonly sizeOf: (item: T) => number;
  /** How long a batch that is not full waits for more. */
  readonly lingerMs: number;
}

/** What came before the source failed is given out before that is thrown. */
export async function* batchesOf<T>(source: AsyncIterable<readonly T[]>, limits: BatchLimits<T>): AsyncGenerator<T[]> {
  const { itemsMax, bytesMax, sizeOf, lingerMs } = limits;
  const arrivals = source[Symbol.asyncIterator]();
  const arrive = () => arrivals.next().then(arrived, (error: unknown) => ({ kind: 'failed', error }) as const);
  let waiting: T[] = [];
  let bytes = 0;
  const take = () => {
    const batch = waiting;
    waiting = [];
    bytes = 0;
    return batch;
  };
  let next = arrive();
  for (;;) {
    const arrival = waiting.length === 0 ? await next : await Promise.race([next, after(lingerMs)]);
    switch (arrival.kind) {
      case 'nothing':
        yield take();
        break;
      case 'ended':
        if (waiting.length > 0) yield take();
        return;
      case 'failed':
        if (waiting.length > 0) yield take();
        throw arrival.error;
      case 'items':
        for (const item of arrival.items) {
          waiting.push(item);
          bytes += sizeOf(item);
          if (waiting.length >= itemsMax || bytes >= bytesMax) yield take();
        }
        next = arrive();
        break;
    }
  }
}

const arrived = <T>({ done, value }: IteratorResult<readonly T[]>) =>
  done ? ({ kind: 'ended' } as const) : ({ kind: 'items', items: value } as const);

const after = (ms: number) =>
  new Promise<{ readonly kind: 'nothing' }>((resolve) => setTimeout(resolve, ms, { kind: 'nothing' }));
