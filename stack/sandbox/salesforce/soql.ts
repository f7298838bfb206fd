/**
 * The part of SOQL that the connector uses: one object, conditions joined by AND, ORDER BY one field, LIMIT.
 * https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select.htm
 * What is valid SOQL beyond that is refused as MALFORMED_QUERY, never misread.
 */
import { asText, type JsonRecord, type JsonValue } from '../standIn.ts';

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'LIKE' | 'IN';

export interface Condition {
  readonly field: string;
  readonly operator: Operator;
  readonly values: readonly JsonValue[];
}

export interface Query {
  readonly fields: readonly string[];
  readonly object: string;
  readonly where: readonly Condition[];
  readonly orderBy?: { readonly field: string; readonly descending: boolean };
  readonly limit?: number;
}

type Token =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'symbol'; readonly text: string };

/** Thrown where a query is not in this subset. */
export class MalformedQuery extends Error {
  override readonly name = 'MalformedQuery';
}

const tokenPattern =
  /\s+|'((?:[^'\\]|\\['"\\nrtbf%_])*)'|(!=|<=|>=|[=<>(),])|(\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))|(-?[A-Za-z0-9_.]+)/y;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function tokens(text: string): Token[] {
  const result: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw new MalformedQuery(`unexpected character at position ${at}`);
    const [, quoted, symbol, datetime, word] = match;
    // An escaped wildcard stays escaped: LIKE has to know it from a bare one.
    if (quoted !== undefined) {
      result.push({
        kind: 'string',
        text: quoted.replace(/\\(.)/g, (all, c: string) => (c === '%' || c === '_' ? all : (escapes[c] ?? c))),
      });
    } else if (symbol !== undefined) result.push({ kind: 'symbol', text: symbol });
    else if (datetime !== undefined || word !== undefined) result.push({ kind: 'word', text: (datetime ?? word)! });
  }
  return result;
}

class Parser {
  readonly #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new MalformedQuery('unexpected end of query');
    this.#at += 1;
    return token;
  }

  #word(): string {
    const token = this.#next();
    if (token.kind !== 'word') throw new MalformedQuery(`unexpected token: ${token.text}`);
    return token.text;
  }

  #accept(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.kind === 'string' || token.text.toUpperCase() !== text) return false;
    this.#at += 1;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) throw new MalformedQuery(`expecting ${text}`);
  }

  #literal(): JsonValue {
    const token = this.#next();
    if (token.kind === 'string') return token.text;
    const word = token.text.toLowerCase();
    if (word === 'true') return true;
    if (word === 'false') return false;
    if (word === 'null') return null;
    if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word);
    if (/^\d{4}-\d{2}-\d{2}/.test(token.text)) return token.text;
    throw new MalformedQuery(`unexpected token: ${token.text}`);
  }

  #condition(): Condition {
    const field = this.#word();
    const token = this.#next();
    const operator = (token.kind === 'word' ? token.text.toUpperCase() : token.text) as Operator;
    if (!['=', '!=', '<', '<=', '>', '>=', 'LIKE', 'IN'].includes(operator)) {
      throw new MalformedQuery(`unknown operator: ${token.text}`);
    }
    if (operator !== 'IN') return { field, operator, values: [this.#literal()] };
    this.#expect('(');
    const values = [this.#literal()];
    while (this.#accept(',')) values.push(this.#literal());
    this.#expect(')');
    return { field, operator, values };
  }

  query(): Query {
    this.#expect('SELECT');
    const fields = [this.#word()];
    while (this.#accept(',')) fields.push(this.#word());
    this.#expect('FROM');
    const object = this.#word();
    const where: Condition[] = [];
    if (this.#accept('WHERE')) {
      do where.push(this.#condition());
      while (this.#accept('AND'));
    }
    let orderBy: Query['orderBy'];
    if (this.#accept('ORDER')) {
      this.#expect('BY');
      const field = this.#word();
      orderBy = { field, descending: this.#accept('DESC') };
      if (!orderBy.descending) this.#accept('ASC');
    }
    let limit: number | undefined;
    if (this.#accept('LIMIT')) {
      limit = Number(this.#word());
      if (!Number.isInteger(limit) || limit < 0) throw new MalformedQuery('LIMIT needs a number');
    }
    if (this.#at < this.#tokens.length) throw new MalformedQuery(`unexpected token: ${this.#tokens[this.#at]!.text}`);
    return { fields, object, where, ...(orderBy && { orderBy }), ...(limit === undefined ? {} : { limit }) };
  }
}

/** Throws MalformedQuery. */
export const parseSoql = (text: string): Query => new Parser(text).query();

const lowered = (value: JsonValue): JsonValue => (typeof value === 'string' ? value.toLowerCase() : value);

function like(value: JsonValue, pattern: string): boolean {
  if (typeof value !== 'string') return false;
  const source = pattern.replace(/\\[%_]|[%_]|[.*+?^${}()|[\]\\]/g, (c) => {
    if (c === '%') return '.*';
    if (c === '_') return '.';
    return `\\${c.at(-1)}`;
  });
  return new RegExp(`^${source}$`, 'is').test(value);
}

/** How two values are ordered; undefined where either is null, which no comparison matches. */
function compare(a: JsonValue, b: JsonValue): number | undefined {
  if (a === null || b === null) return undefined;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Text is compared without regard to case, as Salesforce does. */
export function matches(record: JsonRecord, condition: Condition): boolean {
  const value = lowered(record[condition.field] ?? null);
  const wanted = condition.values.map(lowered);
  const order = compare(value, wanted[0] ?? null);
  const tests: Record<Operator, () => boolean> = {
    '=': () => value === wanted[0],
    '!=': () => value !== wanted[0],
    '<': () => order === -1,
    '<=': () => order === -1 || order === 0,
    '>': () => order === 1,
    '>=': () => order === 1 || order === 0,
    IN: () => wanted.includes(value),
    LIKE: () => like(value, asText(condition.values[0])),
  };
  return tests[condition.operator]();
}
