/** Compares what was sent with what is read back, allowing for what vendors do to values without changing them. */
import type { Json, JsonObject } from './connector.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const dateTime = /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})$/;

/** Empty text is stored as none, surrounding blanks are cut, and date-times come back in another notation. */
function canonical(value: Json | undefined): Json {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') return value;
  const trimmed = value.replace(/\r\n/g, '\n').trim();
  if (trimmed === '') return null;
  if (dateTime.test(trimmed)) return new Date(trimmed.replace(/([+-]\d{2})(\d{2})$/, '$1:$2')).toISOString();
  return trimmed;
}

/** True where two values are the same to the vendor; keys of objects in any order. */
export function sameValue(a: Json | undefined, b: Json | undefined): boolean {
  const [left, right] = [canonical(a), canonical(b)];
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => sameValue(item, right[i]));
  }
  if (isObject(left) && isObject(right)) {
    return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) => sameValue(left[key], right[key]));
  }
  return left === right;
}

/** True where everything that was sent reads back; what else there is does not matter. */
export const holds = (sent: JsonObject, readBack: JsonObject): boolean =>
  Object.entries(sent).every(([name, value]) => sameValue(value, readBack[name]));
