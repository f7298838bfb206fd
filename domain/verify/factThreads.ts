/**
 * Looks at chunks of entries in threads beside this one, some chunks ahead of where they are needed, and gives them back in
 * their order. What is found is what this thread would have found, and so is all that is made of it.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { FactFinder, type EntryFacts, type FactOptions } from './entryFacts.ts';
import type { EntryChunk } from './verifyLog.ts';

export interface LookedAt {
  readonly chunk: EntryChunk;
  readonly facts: EntryFacts;
}

/** To a thread; back come the facts of each, in order. */
export type ToThread = readonly Pick<EntryChunk, 'bundle' | 'firstIndex'>[];

/** Entries that are sent to a thread at once: each message costs some 50 microseconds. */
const sentEntries = 1024;
/** Messages that wait for a thread while it works at one. */
const sentAhead = 2;

/** In this thread, one chunk after the other. */
export async function* lookHere(chunks: AsyncIterable<EntryChunk>, options: FactOptions): AsyncGenerator<LookedAt> {
  const finder = new FactFinder(options);
  for await (const chunk of chunks) yield { chunk, facts: finder.find(chunk.bundle, chunk.firstIndex) };
}

/** In so many threads. They end with the generator. Where `chunks` fails, those before are given back first. */
export async function* lookInThreads(
  chunks: AsyncIterable<EntryChunk>,
  options: FactOptions,
  threads: number,
): AsyncGenerator<LookedAt> {
  const workers = Array.from({ length: threads }, () => new FactThread(options));
  const waiting: { readonly chunks: readonly EntryChunk[]; readonly facts: Promise<EntryFacts[]> }[] = [];
  let sent = 0;
  try {
    for await (const group of grouped(chunks)) {
      if (group.kind === 'failed') {
        while (waiting.length > 0) yield* await taken(waiting.shift()!);
        throw group.error;
      }
      const facts = workers[sent++ % threads]!.find(group.chunks);
      // Awaited in its turn; until then a failure must not end the process.
      facts.catch(() => undefined);
      waiting.push({ chunks: group.chunks, facts });
      if (waiting.length > threads * sentAhead) yield* await taken(waiting.shift()!);
    }
    while (waiting.length > 0) yield* await taken(waiting.shift()!);
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

const taken = async (sent: {
  readonly chunks: readonly EntryChunk[];
  readonly facts: Promise<EntryFacts[]>;
}): Promise<LookedAt[]> => {
  const facts = await sent.facts;
  return sent.chunks.map((chunk, place) => ({ chunk, facts: facts[place]! }));
};

type Group =
  | { readonly kind: 'chunks'; readonly chunks: readonly EntryChunk[] }
  | { readonly kind: 'failed'; readonly error: unknown };

async function* grouped(source: AsyncIterable<EntryChunk>): AsyncGenerator<Group> {
  let chunks: EntryChunk[] = [];
  let entries = 0;
  try {
    for await (const chunk of source) {
      chunks.push(chunk);
      entries += chunk.count;
      if (entries < sentEntries) continue;
      yield { kind: 'chunks', chunks };
      chunks = [];
      entries = 0;
    }
  } catch (error) {
    if (chunks.length > 0) yield { kind: 'chunks', chunks };
    yield { kind: 'failed', error };
    return;
  }
  if (chunks.length > 0) yield { kind: 'chunks', chunks };
}

/** One thread; its answers come in the order of what it was sent. */
class FactThread {
  readonly #worker: Worker;
  readonly #asked: PromiseWithResolvers<EntryFacts[]>[] = [];

  constructor(options: FactOptions) {
    this.#worker = new Worker(new URL('factThread.ts', import.meta.url), { workerData: options });
    this.#worker.on('message', (facts: EntryFacts[]) => this.#asked.shift()?.resolve(facts));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('a thread that looks at entries has ended')));
  }

  find(chunks: ToThread): Promise<EntryFacts[]> {
    const asked = Promise.withResolvers<EntryFacts[]>();
    this.#asked.push(asked);
    // Copied, not given away: the bundles are their owner's.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(chunks.map(({ bundle, firstIndex }) => ({ bundle, firstIndex })) satisfies ToThread);
    return asked.promise;
  }

  async end(): Promise<void> {
    if (this.#worker.threadId < 0) return;
    const ended = once(this.#worker, 'exit');
    await this.#worker.terminate();
    await ended;
  }

  #fail(error: unknown): void {
    for (const asked of this.#asked.splice(0)) asked.reject(error);
  }
}
