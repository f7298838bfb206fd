/** The issues of the stand-in's site: fields, workflow, comments and entity properties. */
import { changedFields, type ChangeLog } from '../changeLog.ts';
import { asText, isRecord, type JsonRecord, type JsonValue } from '../standIn.ts';
import type { Jql, JqlCondition } from './jql.ts';

export interface Comment {
  readonly id: string;
  readonly author: string;
  readonly body: JsonValue;
  readonly properties: JsonRecord;
  readonly created: string;
}

export interface Issue {
  readonly id: string;
  readonly key: string;
  readonly project: string;
  readonly fields: JsonRecord;
  readonly status: string;
  readonly properties: JsonRecord;
  readonly comments: readonly Comment[];
  readonly created: string;
  readonly updated: string;
}

/** The simplified default workflow of a Jira project: each transition leads from the statuses named. */
export const transitions = [
  { id: '11', name: 'To Do', to: 'To Do', from: ['In Progress', 'Done'] },
  { id: '21', name: 'Start', to: 'In Progress', from: ['To Do', 'Done'] },
  { id: '31', name: 'Done', to: 'Done', from: ['In Progress'] },
] as const;

export const statusIds: Readonly<Record<string, string>> = { 'To Do': '10000', 'In Progress': '3', Done: '10001' };

/** What the change log compares: everything but Jira's own time stamps. */
const described = (issue: Issue): JsonRecord => ({
  ...issue.fields,
  status: issue.status,
  ...Object.fromEntries(Object.entries(issue.properties).map(([key, value]) => [`property:${key}`, value])),
});

export class Issues {
  readonly #changes: ChangeLog;
  readonly #now: () => Date;
  #byKey = new Map<string, Issue>();
  #serials = new Map<string, number>();
  #nextId = 10_001;

  constructor(changes: ChangeLog, now: () => Date) {
    this.#changes = changes;
    this.#now = now;
  }

  find(idOrKey: string): Issue | undefined {
    return this.#byKey.get(idOrKey.toUpperCase()) ?? [...this.#byKey.values()].find((issue) => issue.id === idOrKey);
  }

  search(jql: Jql): readonly Issue[] {
    const matches = (issue: Issue, condition: JqlCondition): boolean => {
      const held = {
        project: [issue.project],
        key: [issue.key],
        status: [issue.status],
        labels: Array.isArray(issue.fields['labels']) ? issue.fields['labels'].map(asText) : [],
        issuetype: [asText((issue.fields['issuetype'] as JsonRecord)['name'])],
      }[condition.field];
      return held.some((h) => condition.values.some((v) => v.toLowerCase() === h.toLowerCase()));
    };
    const found = [...this.#byKey.values()].filter((issue) => jql.where.every((c) => matches(issue, c)));
    return jql.newestFirst ? found.toReversed() : found;
  }

  create(project: string, fields: JsonRecord, properties: JsonRecord, by: string): Issue {
    const serial = (this.#serials.get(project) ?? 0) + 1;
    this.#serials.set(project, serial);
    const at = this.#now().toISOString();
    const issue: Issue = {
      id: String(this.#nextId),
      key: `${project}-${serial}`,
      project,
      fields: { labels: [], description: null, priority: { name: 'Medium' }, assignee: null, ...fields },
      status: 'To Do',
      properties,
      comments: [],
      created: at,
      updated: at,
    };
    this.#nextId += 1;
    this.#byKey.set(issue.key, issue);
    this.#changes.record({
      by,
      operation: 'create',
      kind: 'issue',
      id: issue.key,
      fields: changedFields({}, described(issue)),
    });
    return issue;
  }

  change(issue: Issue, to: { fields?: JsonRecord; status?: string; properties?: JsonRecord }, by: string): Issue {
    const changed: Issue = {
      ...issue,
      fields: { ...issue.fields, ...to.fields },
      status: to.status ?? issue.status,
      properties: { ...issue.properties, ...to.properties },
      updated: this.#now().toISOString(),
    };
    this.#byKey.set(issue.key, changed);
    const fields = changedFields(described(issue), described(changed));
    this.#changes.record({ by, operation: 'update', kind: 'issue', id: issue.key, fields });
    return changed;
  }

  delete(issue: Issue, by: string): void {
    this.#byKey.delete(issue.key);
    this.#changes.record({
      by,
      operation: 'delete',
      kind: 'issue',
      id: issue.key,
      fields: changedFields(described(issue), {}),
    });
  }

  addComment(issue: Issue, body: JsonValue, properties: JsonRecord, by: string): Comment {
    const comment: Comment = {
      id: String(this.#nextId),
      author: by,
      body,
      properties,
      created: this.#now().toISOString(),
    };
    this.#nextId += 1;
    this.#byKey.set(issue.key, { ...issue, comments: [...issue.comments, comment] });
    this.#changes.record({
      by,
      operation: 'create',
      kind: 'comment',
      id: comment.id,
      fields: changedFields({}, { issue: issue.key, body, properties }),
    });
    return comment;
  }

  deleteComment(issue: Issue, comment: Comment, by: string): void {
    this.#byKey.set(issue.key, { ...issue, comments: issue.comments.filter((c) => c.id !== comment.id) });
    this.#changes.record({
      by,
      operation: 'delete',
      kind: 'comment',
      id: comment.id,
      fields: changedFields({ issue: issue.key, body: comment.body }, {}),
    });
  }

  snapshot(): JsonRecord {
    return {
      nextId: this.#nextId,
      serials: Object.fromEntries(this.#serials),
      issues: [...this.#byKey.values()] as unknown as JsonValue,
    };
  }

  restore(snapshot: JsonRecord): void {
    const issues = Array.isArray(snapshot['issues']) ? snapshot['issues'].filter(isRecord) : [];
    this.#nextId = Number(snapshot['nextId'] ?? 10_001);
    this.#serials = new Map(Object.entries((snapshot['serials'] ?? {}) as Record<string, number>));
    this.#byKey = new Map(issues.map((issue) => [issue['key'] as string, issue as unknown as Issue]));
  }
}
