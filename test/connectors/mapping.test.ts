import { assert, dictionary, jsonValue, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyMapping, compareMappings, MappingError } from '../../domain/mapping.ts';

const v1 = { name: 'contacts', version: '1', fields: { mobile: 'Phone', region: 'Region__c', gone: 'Old__c' } };
const v2 = { name: 'contacts', version: '2', fields: { mobile: 'MobilePhone', region: 'Region__c', added: 'New__c' } };

describe('applying a mapping', () => {
  it('puts each value into the vendor’s field', () => {
    expect(applyMapping(v1, { region: 'EMEA', mobile: null })).toEqual({ Region__c: 'EMEA', Phone: null });
  });

  it('refuses fields that the mapping lacks, and names them, never their values', () => {
    const apply = () => applyMapping(v1, { region: 'EMEA', fax: 'secret', toString: 'secret' });
    expect(apply).toThrow(MappingError);
    expect(apply).toThrow(expect.objectContaining({ code: 'UNKNOWN_FIELD', fields: ['fax', 'toString'] }));
    expect(apply).toThrow(expect.not.objectContaining({ message: expect.stringContaining('secret') }));
  });

  it('refuses two fields that meet in one', () => {
    const mapping = { name: 'm', version: '1', fields: { a: 'X', b: 'X' } };
    expect(() => applyMapping(mapping, { a: 1, b: 2 })).toThrow(
      expect.objectContaining({ code: 'FIELD_COLLISION', fields: ['a', 'b'] }),
    );
    expect(applyMapping(mapping, { b: 2 })).toEqual({ X: 2 });
  });

  it('loses and invents no value', () => {
    assert(
      property(dictionary(string({ minLength: 1 }), jsonValue()), (logical) => {
        const fields = Object.fromEntries(Object.keys(logical).map((name, i) => [name, `F${i}__c`]));
        const sent = applyMapping({ name: 'm', version: '1', fields }, logical);
        expect(Object.values(sent)).toEqual(Object.values(logical));
        expect(Object.keys(sent)).toHaveLength(Object.keys(logical).length);
      }),
    );
  });
});

describe('comparing two mappings', () => {
  it('names the fields that go elsewhere, appear or vanish', () => {
    expect(compareMappings(v1, v2)).toEqual([
      { logical: 'added', before: null, after: 'New__c' },
      { logical: 'gone', before: 'Old__c', after: null },
      { logical: 'mobile', before: 'Phone', after: 'MobilePhone' },
    ]);
  });

  it('keeps to the fields that it is asked about', () => {
    expect(compareMappings(v1, v2, ['region', 'mobile', 'mobile'])).toEqual([
      { logical: 'mobile', before: 'Phone', after: 'MobilePhone' },
    ]);
    expect(compareMappings(v1, v1)).toEqual([]);
  });
});
