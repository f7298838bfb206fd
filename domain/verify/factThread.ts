/** A thread that looks at entries: `factThreads.ts` starts this file. */
import { parentPort, workerData } from 'node:worker_threads';
import { FactFinder, transferOf, type FactOptions } from './entryFacts.ts';
import type { ToThread } from './factThreads.ts';

const finder = new FactFinder(workerData as FactOptions);
parentPort!.on('message', (chunks: ToThread) => {
  const facts = chunks.map(({ bundle, firstIndex }) => finder.find(bundle, firstIndex));
  parentPort!.postMessage(facts, facts.flatMap(transferOf));
});
