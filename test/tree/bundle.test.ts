import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBundle, encodeBundle, readBundle } from '../../domain/tree/bundle.ts';

const entry = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

describe('entry bundles', () => {
  it('put a big-endian uint16 length before each entry', () => {
    const long = Buffer.alloc(258, 7);
    expect(encodeBundle([Buffer.from('ab'), Buffer.alloc(0), long])).toEqual(
      Buffer.concat([Buffer.from([0, 2, 97, 98, 0, 0, 1, 2]), long]),
    );
  });

  it('survive being written and read', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        expect(decodeBundle(encodeBundle(entries), entries.length)).toEqual(entries);
      }),
    );
    const largest = [randomBytes(65_535)];
    expect(decodeBundle(encodeBundle(largest))).toEqual(largest);
  });

  it('can be read from any part of a larger buffer', () => {
    const bundle = encodeBundle([Buffer.from('one'), Buffer.from('two')]);
    const inside = new Uint8Array(Buffer.concat([Buffer.alloc(3), bundle, Buffer.alloc(3)]).buffer, 0);
    const at = Buffer.from(inside).indexOf(bundle);
    expect(decodeBundle(inside.subarray(at, at + bundle.length)).map(String)).toEqual(['one', 'two']);
  });

  it('refuse an entry that the length can not say', () => {
    expect(() => encodeBundle([Buffer.alloc(1), Buffer.alloc(65_536)])).toThrow('entry 1 has 65536 bytes');
  });

  it('that are cut anywhere say at which entry', () => {
    const entries = [Buffer.from('first'), Buffer.from('second'), Buffer.from('third')];
    const bundle = encodeBundle(entries);
    const starts = [0, 7, 15, 22];
    for (let cut = 1; cut < bundle.length; cut += 1) {
      const { entries: read, fault } = readBundle(bundle.subarray(0, cut));
      const whole = starts.findLastIndex((start) => start <= cut);
      expect(read).toEqual(entries.slice(0, whole));
      expect(fault?.position).toBe(starts[whole] === cut ? undefined : whole);
    }
    expect(() => decodeBundle(bundle.subarray(0, 8))).toThrow(
      'entry 1 of the bundle: the bundle ends inside a length prefix',
    );
    expect(() => decodeBundle(bundle.subarray(0, 12))).toThrow(
      'entry 1 of the bundle: the entry should have 6 bytes, the bundle ends after 3',
    );
  });

  it('with another number of entries than expected are refused', () => {
    const bundle = encodeBundle([Buffer.from('a'), Buffer.from('b')]);
    expect(() => decodeBundle(bundle, 3)).toThrow('the bundle has 2 entries, not 3');
    expect(() => decodeBundle(bundle, 1)).toThrow('the bundle has 2 entries, not 1');
  });
});
