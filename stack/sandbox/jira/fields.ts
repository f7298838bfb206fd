/**
 * What Jira accepts in an issue's fields, and how it words its refusals (400 with `errors` by field).
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/ (create, edit)
 */
import { asText, isRecord, type JsonRecord, type JsonValue } from '../standIn.ts';

const issueTypes = ['Task', 'Bug', 'Story', 'Epic'];
const priorities = ['Highest', 'High', 'Medium', 'Low', 'Lowest'];

/** https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/ */
export function isAdf(value: JsonValue | undefined): boolean {
  if (!isRecord(value ?? null)) return false;
  const document = value as JsonRecord;
  const node = (n: JsonValue): boolean =>
    isRecord(n) &&
    typeof n['type'] === 'string' &&
    (n['type'] === 'text' ? typeof n['text'] === 'string' && n['text'] !== '' : true) &&
    (n['content'] === undefined || (Array.isArray(n['content']) && n['content'].every(node)));
  return (
    document['type'] === 'doc' && document['version'] === 1 && Array.isArray(document['content']) && node(document)
  );
}

type Check = (value: JsonValue) => string | undefined;

const named =
  (allowed: readonly string[], message: string): Check =>
  (value) =>
    isRecord(value) && allowed.includes(asText(value['name'])) ? undefined : message;

const checks: Readonly<Record<string, Check>> = {
  summary: (value) => {
    if (typeof value !== 'string' || value.trim() === '') return 'You must specify a summary of the issue.';
    if (value.length > 255) return 'Summary must be less than 255 characters.';
    return /[\r\n]/.test(value) ? 'The summary is invalid because it contains newline characters.' : undefined;
  },
  description: (value) =>
    value === null || isAdf(value)
      ? undefined
      : 'Operation value must be an Atlassian Document (see the Atlassian Document Format)',
  issuetype: named(issueTypes, 'Specify a valid issue type'),
  priority: named(priorities, 'Specify a valid priority name'),
  assignee: (value) =>
    value === null || (isRecord(value) && typeof value['accountId'] === 'string') ? undefined : 'User cannot be found.',
  labels: (value) => {
    if (!Array.isArray(value)) return 'data was not an array';
    if (value.some((label) => typeof label !== 'string')) return 'string expected';
    const spaced = value.find((label) => /\s/.test(asText(label)));
    if (spaced !== undefined) return `The label '${asText(spaced)}' contains spaces which is invalid.`;
    return value.some((label) => asText(label).length > 255) ? 'The label is too long.' : undefined;
  },
  duedate: (value) =>
    value === null || (typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value))
      ? undefined
      : "Error parsing date string: the date format is 'yyyy-MM-dd'",
};

/** Refusals by field; empty where all is well. `project` is checked by the caller. */
export function refuseFields(fields: JsonRecord, options: { creating: boolean }): Record<string, string> {
  const refusals: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'project' && options.creating) continue;
    const check = checks[name];
    const refusal =
      check === undefined
        ? `Field '${name}' cannot be set. It is not on the appropriate screen, or unknown.`
        : check(value);
    if (refusal !== undefined) refusals[name] = refusal;
  }
  if (options.creating) {
    if (fields['summary'] === undefined) refusals['summary'] = 'You must specify a summary of the issue.';
    if (fields['issuetype'] === undefined) refusals['issuetype'] = 'Specify an issue type';
  }
  return refusals;
}

/** `update: {labels: [{add}, {remove}]}` of the edit call, applied to the labels there are. */
export function editedLabels(
  current: JsonValue | undefined,
  operations: JsonValue | undefined,
): JsonValue[] | undefined {
  if (!Array.isArray(operations)) return undefined;
  const labels = new Set(Array.isArray(current) ? current : []);
  for (const operation of operations) {
    if (!isRecord(operation)) return undefined;
    if (operation['add'] !== undefined) labels.add(operation['add']);
    else if (operation['remove'] !== undefined) labels.delete(operation['remove']);
    else return undefined;
  }
  return [...labels];
}

/**
 * Entity properties `[{key, value}]`: key up to 255 characters, value up to 32,768 characters, at most ten at a time.
 * Undefined where they are not that.
 */
export function readProperties(value: JsonValue | undefined): JsonRecord | undefined {
  if (value === undefined) return {};
  if (!Array.isArray(value) || value.length > 10) return undefined;
  const properties: JsonRecord = {};
  for (const property of value) {
    if (!isRecord(property) || typeof property['key'] !== 'string' || property['value'] === undefined) return undefined;
    if (property['key'].length > 255 || JSON.stringify(property['value']).length > 32_768) return undefined;
    properties[property['key']] = property['value'];
  }
  return properties;
}
