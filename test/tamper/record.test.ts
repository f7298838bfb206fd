/**
 * The record, tampered with by MongoDB's root: each drill is named by its kind and by the first bad index, by the
 * platform's own check as by the verification of the log as it is served.
 */
import { Binary } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLog } from '../../api/operations/verifyLog.ts';
import type { Difference } from '../../domain/verification/difference.ts';
import { openTestLog, type TestLog } from '../verification/open.ts';
import {
  consistent,
  entriesOf,
  flipped,
  saidOtherwise,
  startOf,
  tampering,
  withEntries,
  type Tampering,
} from './mongodbRoot.ts';

let test: TestLog;
let state: Awaited<ReturnType<typeof tampering>>;
beforeAll(async () => {
  test = await openTestLog();
  // Segments at 0, 100, 300, 350, 550, 600, 800; three full tiles.
  await test.appendBatches([100, 200, 50, 200, 50, 200, 100]);
  // What follows the log would take what was tampered with for true, and go on from it.
  await test.tail.stop();
  state = await tampering(test);
});
afterAll(() => test.close());

const served = async () => {
  const report = await verifyLog(test.trail, { entriesMax: 100_000, signal: new AbortController().signal });
  return report.outcome === 'verified' ? undefined : report.problem;
};

interface Drill {
  readonly name: string;
  readonly tamper: (root: Tampering) => Promise<unknown>;
  /** Everything that the platform's own check finds. */
  readonly found: readonly Partial<Difference>[];
  /** What the verification of the served log names; undefined where it holds, since what is served does not show it. */
  readonly served: object | undefined;
}

const record = 'record' as const;

const drills: readonly Drill[] = [
  {
    name: 'a byte of an entry changed',
    tamper: ({ segment, write }) => {
      const { entries, ...rest } = segment(350) as { _id: never; entries: Binary };
      return write({ ...rest, entries: flipped(entries, startOf(entries, 123) + 40) });
    },
    found: [{ kind: 'entry-altered', store: record, index: 473 }],
    served: { kind: 'entry-altered', index: 473 },
  },
  {
    name: 'an entry changed, and its leaf hash with it',
    tamper: ({ segment, write }) => {
      const entries = entriesOf(segment(350));
      const changed = consistent(segment(350), segment(300), entries.with(7, saidOtherwise(entries[7]!)));
      const { root, edge } = segment(350);
      return write({ ...changed, root, edge });
    },
    found: [{ kind: 'entry-altered', store: record, index: 357 }],
    served: { kind: 'entry-altered', index: 357 },
  },
  {
    name: 'an entry changed, and everything in its segment made to fit',
    tamper: ({ segment, write }) => {
      const entries = entriesOf(segment(800));
      return write(consistent(segment(800), segment(600), entries.with(99, saidOtherwise(entries[99]!))));
    },
    found: [{ kind: 'entry-altered', store: record, index: 899 }],
    // The tile of the last entries is made of them, so nothing that is served says which of them it was.
    served: { kind: 'root-mismatch', lastIndex: 899 },
  },
  {
    name: 'a leaf hash changed',
    tamper: ({ segment, write }) => {
      const { leaves, ...rest } = segment(100) as { _id: never; leaves: Binary };
      return write({ ...rest, leaves: flipped(leaves, 5 * 32) });
    },
    found: [{ kind: 'leaf-hash-altered', store: record, index: 105 }],
    served: undefined,
  },
  {
    name: 'a leaf hash changed that no full tile holds',
    tamper: ({ segment, write }) => {
      const { leaves, ...rest } = segment(800) as { _id: never; leaves: Binary };
      return write({ ...rest, leaves: flipped(leaves, 99 * 32) });
    },
    found: [{ kind: 'leaf-hash-altered', store: record, index: 899 }],
    served: { kind: 'tile-altered', index: 899 },
  },
  {
    name: 'the root of a segment changed',
    tamper: ({ segment, write }) => write({ ...segment(350), root: flipped(segment(350)['root'] as Binary, 0) }),
    found: [{ kind: 'root-altered', store: record, index: 350, lastIndex: 549 }],
    served: undefined,
  },
  {
    name: 'the right edge of a segment changed',
    tamper: ({ segment, write }) => write({ ...segment(350), edge: flipped(segment(350)['edge'] as Binary, 0) }),
    found: [{ kind: 'edge-altered', store: record, index: 350, lastIndex: 549 }],
    served: undefined,
  },
  {
    name: 'the control epoch of a segment changed',
    tamper: ({ segment, write }) => write({ ...segment(350), control: 12 }),
    found: [{ kind: 'control-epoch-altered', store: record, index: 350, lastIndex: 549 }],
    served: undefined,
  },
  {
    name: 'a segment deleted',
    tamper: ({ remove }) => remove(300),
    found: [{ kind: 'missing-entries', store: record, index: 300, lastIndex: 349 }],
    served: { kind: 'missing-entries', index: 300 },
  },
  {
    name: 'the last segment deleted',
    tamper: ({ remove }) => remove(800),
    found: [{ kind: 'missing-entries', store: record, index: 800, lastIndex: 899 }],
    served: { kind: 'missing-entries', index: 800 },
  },
  {
    name: 'two segments swapped',
    tamper: async ({ segment, write }) => {
      await write({ ...segment(550), _id: 300 as never });
      await write({ ...segment(300), _id: 550 as never });
    },
    found: [
      { kind: 'wrong-order', store: record, index: 300, belongsAt: 550 },
      { kind: 'wrong-order', store: record, index: 550, belongsAt: 300 },
    ],
    served: { index: 300 },
  },
  {
    name: 'a segment duplicated over another',
    tamper: ({ segment, write }) => write({ ...segment(350), _id: 600 as never }),
    found: [{ kind: 'wrong-order', store: record, index: 600, belongsAt: 350 }],
    served: { index: 600 },
  },
  {
    name: 'a segment duplicated after the last',
    tamper: ({ segment, write }) => write({ ...segment(800), _id: 900 as never }),
    found: [{ kind: 'surplus-entries', store: record, index: 900 }],
    served: undefined,
  },
  {
    name: 'a segment duplicated where none can begin',
    tamper: async ({ segment, write }) => {
      await write({ ...segment(300), _id: 400 as never });
      await write({ ...segment(300), _id: 5000 as never });
    },
    found: [
      { kind: 'stray-segment', store: record, place: 'segments/400' },
      { kind: 'stray-segment', store: record, place: 'segments/5000' },
    ],
    served: undefined,
  },
  {
    name: 'a segment truncated',
    tamper: ({ segment, write }) => write(withEntries(segment(350), entriesOf(segment(350)).slice(0, 150))),
    found: [{ kind: 'missing-entries', store: record, index: 500, lastIndex: 549 }],
    served: { kind: 'missing-entries', index: 500 },
  },
  {
    name: 'a segment cut off in the middle of an entry',
    tamper: ({ segment, write }) => {
      const { entries, ...rest } = segment(350) as { _id: never; entries: Binary };
      return write({ ...rest, entries: new Binary(Buffer.from(entries.buffer.subarray(0, startOf(entries, 60) + 9))) });
    },
    found: [{ kind: 'malformed-bundle', store: record, index: 410 }],
    served: { index: 410 },
  },
  {
    name: 'a segment of another form',
    tamper: ({ segment, write }) => write({ ...segment(350), n: 'many' }),
    found: [
      { kind: 'malformed-segment', store: record, index: 350 },
      { kind: 'missing-entries', store: record, index: 350, lastIndex: 549 },
    ],
    served: { index: 350 },
  },
];

describe('a log that nobody touched', () => {
  it('shows no difference', async () => {
    expect(state.firsts).toEqual([0, 100, 300, 350, 550, 600, 800]);
    expect(await test.check()).toEqual([]);
    expect(await served()).toBeUndefined();
  });
});

describe.each(drills)('in the record, $name', ({ tamper, found, served: says }) => {
  it('is found by the check, with kind and first bad index, and nothing else is', async () => {
    const differences = await state.drill(tamper, () => test.check());
    const all = found.map((one) => expect.objectContaining(one) as Difference);
    expect(differences).toEqual(all);
  });

  it('is found by the verification of the served log, if that shows it', async () => {
    const problem = await state.drill(tamper, served);
    expect(problem ?? { holds: true }).toMatchObject(says ?? { holds: true });
  });
});
