import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventIds } from '../../domain/verify/eventIds.ts';

const word = fc.constantFrom('00000000', '00000001', '7fffffff', '80000000', 'ffffffff');
/** Few words, so that many ids share all but one of them, and many begin at the same slot. */
const id = fc
  .tuple(word, word, word, word)
  .map((words) => words.join(''))
  .map((h) => `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`);

describe('the table of event ids', () => {
  it('answers as a map would', () => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: 300 }), (ids) => {
        const table = new EventIds();
        const map = new Map<string, number>();
        for (const [index, one] of ids.entries()) {
          expect(table.add(one, index)).toBe(map.get(one));
          if (!map.has(one)) map.set(one, index);
        }
      }),
    );
  });

  it('keeps every id and its index while it grows', () => {
    const table = new EventIds();
    const idOf = (i: number) => `01999999-0000-7000-8000-${i.toString(16).padStart(12, '0')}`;
    for (let i = 0; i < 20_000; i += 1) expect(table.add(idOf(i), i)).toBeUndefined();
    for (let i = 0; i < 20_000; i += 1) expect(table.add(idOf(i), 99_999)).toBe(i);
  });
});
