/**
 * Salesforce record ids: 15 case-sensitive characters beginning with the object's key prefix, or 18 with a suffix that
 * encodes the capitals. https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/field_types.htm ("ID Field Type")
 */
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** The three characters that say which of the 15 are capitals. */
function suffixOf(id15: string): string {
  let suffix = '';
  for (let block = 0; block < 3; block += 1) {
    let bits = 0;
    for (let i = 0; i < 5; i += 1) if (/[A-Z]/.test(id15[block * 5 + i]!)) bits |= 1 << i;
    suffix += alphabet[bits];
  }
  return suffix;
}

/** The 18-character id of the nth record (from 1) under a key prefix. */
export function recordId(keyPrefix: string, n: number): string {
  let serial = '';
  for (let rest = n; rest > 0; rest = Math.floor(rest / digits.length)) serial = digits[rest % digits.length]! + serial;
  const id15 = `${keyPrefix}Tk0000${serial.padStart(6, '0')}`;
  return id15 + suffixOf(id15);
}

/** The 18-character form; undefined for what is no id at all (Salesforce: MALFORMED_ID). */
export function fullId(id: string): string | undefined {
  if (!/^[A-Za-z0-9]+$/.test(id)) return undefined;
  if (id.length === 15) return id + suffixOf(id);
  return id.length === 18 && suffixOf(id.slice(0, 15)) === id.slice(15) ? id : undefined;
}
