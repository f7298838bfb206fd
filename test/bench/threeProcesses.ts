/** Three processes that write to one log, against one that writes as much: `fork` starts this file. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { MongoClient } from 'mongodb';
import type { InstanceId } from '../../schema/ids.ts';
import { openFileKeyProvider } from '../../trail/keys/file-provider.ts';
import { openTrail } from '../../trail/trail.ts';
import type { Benchmark } from './benchmark.ts';
import type { BenchInstance } from './environment.ts';
import { Producers } from './events.ts';
import { holdContest, perSecond, timeMs, type Contender } from './harness.ts';
import { append, batchSize, rate } from './ingest.ts';

const sizes = { small: 12_000, full: 48_000 } as const;
const processes = 3;
/** In all; each process has a third of them, or the one process has them all. */
const producers = 6;

interface Order {
  readonly events: number;
  readonly producers: number;
}

/** A process that makes events when it is told to, says so, and appends them when it is told to do that. */
class Writer {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start({ instance, origin, keysFolder, uriOf }: BenchInstance): Promise<Writer> {
    const child = fork(import.meta.filename, [instance, origin, keysFolder], {
      env: {
        ...process.env,
        APPENDER_URI: uriOf('appender'),
        ANCHOR_URI: uriOf('anchor'),
        READER_URI: uriOf('reader'),
      },
    });
    const writer = new Writer(child);
    await writer.#said();
    return writer;
  }

  async prepare(order: Order): Promise<void> {
    this.#child.send(order);
    await this.#said();
  }

  async append(): Promise<void> {
    this.#child.send('append');
    await this.#said();
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await ended;
  }

  async #said(): Promise<void> {
    const over = new AbortController();
    try {
      const said = await Promise.race([
        once(this.#child, 'message', { signal: over.signal }),
        once(this.#child, 'exit', { signal: over.signal }),
      ]);
      if (said[0] !== 'done') throw new Error('a process of the benchmark ended before it was done');
    } finally {
      over.abort();
    }
  }
}

export const threeProcesses: Benchmark = {
  name: 'three-processes',
  title: 'Three processes that append to one log, against one process',
  async run(environment) {
    const events = environment.extent.events ?? sizes[environment.extent.scale];
    const at = await environment.instance('processes');
    const writers = await Promise.all(Array.from({ length: processes }, () => Writer.start(at)));
    const contender = (name: string, who: readonly Writer[], bars?: Contender['bars']): Contender => ({
      name,
      ...(bars && { bars }),
      prepare: async () => {
        const order = { events: events / who.length, producers: producers / who.length };
        await Promise.all(who.map((writer) => writer.prepare(order)));
      },
      async measure() {
        const ms = await timeMs(() => Promise.all(who.map((writer) => writer.append())));
        return { rate: perSecond(events, ms) };
      },
    });
    const comparisons = await holdContest(
      {
        title: `batches of ${batchSize}, ${producers} producers in all`,
        metrics: [rate],
        make: () => undefined,
        baseline: contender('one process', writers.slice(0, 1)),
        subjects: [contender(`${processes} processes`, writers, { rate: { atLeast: 0.5 } })],
      },
      environment.extent,
    );
    await Promise.all(writers.map((writer) => writer.stop()));
    await at.close();
    return { comparisons, conditions: { events, processes, producers, batchSize } };
  },
};

/** Ends when the process that started it lets go of the channel, or is gone. */
async function runWriter(instance: InstanceId, origin: string, keysFolder: string): Promise<void> {
  const connect = (name: string) => MongoClient.connect(process.env[name]!);
  const clients = {
    appender: await connect('APPENDER_URI'),
    anchor: await connect('ANCHOR_URI'),
    reader: await connect('READER_URI'),
  };
  const keys = await openFileKeyProvider(keysFolder);
  const trail = await openTrail(instance, origin, { clients, keys, writer: { queueEventsMax: 100_000 } });
  let lists: ReturnType<Producers['batches']> = [];
  const carryOut = async (told: Order | 'append') => {
    if (told !== 'append') {
      lists = new Producers(told.producers).batches(told.events, batchSize);
      return;
    }
    await Promise.all(
      lists.map(async (list) => {
        for (const batch of list) await append(trail, batch);
      }),
    );
  };
  const letGo = once(process, 'disconnect');
  process.on('message', (told: Order | 'append') => {
    carryOut(told).then(
      () => process.send!('done'),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.send!('done');
  await letGo;
  await Promise.all(Object.values(clients).map((client) => client.close()));
}

if (import.meta.main) await runWriter(process.argv[2] as InstanceId, process.argv[3]!, process.argv[4]!);
