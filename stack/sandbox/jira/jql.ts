/**
 * The part of JQL that the connector uses: conditions joined by AND, ORDER BY. What is valid JQL beyond that is
 * refused, never misread. https://support.atlassian.com/jira-software-cloud/docs/jql-fields/
 */
export interface JqlCondition {
  readonly field: 'project' | 'labels' | 'key' | 'status' | 'issuetype';
  readonly values: readonly string[];
}

export interface Jql {
  readonly where: readonly JqlCondition[];
  readonly newestFirst: boolean;
}

const fields = ['project', 'labels', 'key', 'status', 'issuetype'] as const;
const value = String.raw`(?:"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.-]+)`;
const condition = new RegExp(
  String.raw`^\s*(\w+)\s*(=|in)\s*(${value}|\(\s*${value}(?:\s*,\s*${value})*\s*\))\s*$`,
  'i',
);

/** Why the text is refused, in Jira's words. */
export class JqlRefused extends Error {
  override readonly name = 'JqlRefused';
}

const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text);

/** Throws JqlRefused. */
export function parseJql(text: string): Jql {
  const [search, order] = text.split(/\border\s+by\b/i) as [string, string?];
  // An entity property is searchable only where an app declares an index for it:
  // https://developer.atlassian.com/cloud/jira/platform/jira-entity-properties/ ("Making searchable entity properties")
  if (/issue\.property/i.test(search)) throw new JqlRefused("Field 'issue.property' is not indexed for this property.");
  if (search.trim() === '') {
    throw new JqlRefused('Unbounded JQL queries are not allowed here. Please add a search restriction to your query.');
  }
  const where = search.split(/\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/i).map((part): JqlCondition => {
    const match = condition.exec(part);
    if (match === null) throw new JqlRefused(`Error in the JQL Query near '${part.trim().slice(0, 20)}'.`);
    const field = fields.find((f) => f === match[1]!.toLowerCase());
    if (field === undefined)
      throw new JqlRefused(`Field '${match[1]}' does not exist or you do not have permission to view it.`);
    const values = (match[3]!.match(new RegExp(value, 'g')) ?? []).map(unquoted);
    if (match[2] === '=' && values.length !== 1) throw new JqlRefused("Operator '=' does not support lists.");
    return { field, values };
  });
  if (order !== undefined && !/^\s*created\s+(?:desc|asc)?\s*$/i.test(`${order} `)) {
    throw new JqlRefused('sandbox: only ORDER BY created is implemented.');
  }
  return { where, newestFirst: /desc/i.test(order ?? 'desc') };
}
