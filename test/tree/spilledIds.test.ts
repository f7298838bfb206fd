import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventIds, idOfWords, wordsOfId } from '../../domain/verify/eventIds.ts';
import { SpilledIds, type BlockStore } from '../../domain/verify/spilledIds.ts';

const store = (): BlockStore & { readonly blocks: Uint8Array[] } => {
  const blocks: Uint8Array[] = [];
  return {
    blocks,
    seed: 12_345,
    write: (block) => blocks.push(block.slice()) - 1,
    read: (position) => blocks[position]!,
  };
};
const idOf = (i: number) =>
  `01999999-${(i % 7).toString(16).padStart(4, '0')}-7000-8000-${i.toString(16).padStart(12, '0')}`;

describe('ids that are written away', () => {
  it('give the first repetition that a table would have given', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(400), { maxLength: 900 }), (numbers) => {
        const spilled = new SpilledIds(store());
        const table = new EventIds();
        let expected: object | undefined;
        for (const [index, number] of numbers.entries()) {
          spilled.addWords(wordsOfId(idOf(number)), 0, index);
          const firstSeenAt = table.add(idOf(number), index);
          if (firstSeenAt !== undefined) expected ??= { id: idOf(number), index, firstSeenAt };
        }
        expect(spilled.firstDuplicate()).toEqual(expected);
      }),
    );
  });

  it('are found among many, wherever they stand, and nearly all of them are in the store', () => {
    const blocks = store();
    const spilled = new SpilledIds(blocks);
    const add = (number: number, index: number) => spilled.addWords(wordsOfId(idOf(number)), 0, index);
    for (let i = 0; i < 200_000; i += 1) add(i, i);
    expect(spilled.firstDuplicate()).toBeUndefined();
    expect(blocks.blocks.length * 170).toBeGreaterThan(150_000);
    add(199_999, 200_000);
    add(11, 200_001);
    expect(spilled.firstDuplicate()).toEqual({ id: idOf(199_999), index: 200_000, firstSeenAt: 199_999 });
  });

  it('are written out as they were', () => {
    expect(idOfWords(wordsOfId('01999999-00f0-7abc-8def-0123456789ab'), 0)).toBe(
      '01999999-00f0-7abc-8def-0123456789ab',
    );
  });
});
