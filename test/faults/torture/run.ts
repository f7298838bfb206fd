/** `npm run torture -- --minutes N --seed S`: random faults under a log, on servers of their own. Exits 1 where an invariant broke. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { torture } from './torture.ts';

const usage = `npm run torture -- [options]

  --minutes N   how long (default 5); the round that has begun is ended
  --seed S      of the schedule (default: a random one, which is printed)
  --help`;

const main = async (): Promise<number> => {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '5' }, seed: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
  if (!(minutes > 0) || !Number.isSafeInteger(seed) || seed < 0) {
    console.error(`--minutes takes a positive number, --seed a whole one\n\n${usage}`);
    return 2;
  }
  const again = `npm run torture -- --minutes ${minutes} --seed ${seed}`;
  console.log(`seed ${seed}; the same schedule again: ${again}`);
  const endMs = performance.now() + minutes * 60_000;
  try {
    const { rounds, entries, acknowledged } = await torture({
      seed,
      goesOn: () => performance.now() < endMs,
      say: (line) => console.log(line),
    });
    console.log(
      `${rounds} rounds, ${entries} entries, ${acknowledged} acknowledged: every invariant held. Seed ${seed}.`,
    );
    return 0;
  } catch (error) {
    console.error(error);
    console.error(`It broke. The same schedule again: ${again}`);
    return 1;
  }
};

process.exitCode = await main();
