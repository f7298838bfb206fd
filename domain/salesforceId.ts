/**
 * Salesforce record ids have a case-sensitive form of 15 characters and one of 18 that can be compared without regard
 * to case. Everything recorded uses the longer one, so that one record has one id.
 * https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/field_types.htm ("ID Field Type")
 */
export const recordIdPattern = /^(?:[A-Za-z0-9]{15}|[A-Za-z0-9]{18})$/;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345';

/** The 18-character form; the last three say which of each five are capitals. */
export function toFullId(id: string): string {
  if (id.length !== 15) return id;
  const suffix = [0, 5, 10].map((start) => {
    const bits = [0, 1, 2, 3, 4]
      .filter((i) => /[A-Z]/.test(id.charAt(start + i)))
      .reduce((sum, i) => sum | (1 << i), 0);
    return alphabet[bits]!;
  });
  return id + suffix.join('');
}
