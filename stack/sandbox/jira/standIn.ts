/**
 * Stand-in for the Jira Cloud platform REST API v3. It is not Jira. Behaviour from
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/ (groups: issues, issue-comments, issue-properties,
 * issue-search); authentication from .../jira/platform/basic-auth-for-rest-apis/
 */
import { ChangeLog } from '../changeLog.ts';
import {
  asText,
  isRecord,
  jsonBody,
  Refusal,
  type IncomingCall,
  type JsonRecord,
  type JsonValue,
  type OutgoingAnswer,
  type RoutedCall,
  type StandIn,
} from '../standIn.ts';
import { editedLabels, isAdf, readProperties, refuseFields } from './fields.ts';
import { Issues, statusIds, transitions, type Comment, type Issue } from './issues.ts';
import { JqlRefused, parseJql } from './jql.ts';

const root = '/rest/api/3/';

export interface JiraUser {
  readonly accountId: string;
  readonly email: string;
  /** Without it, every write is refused. */
  readonly mayWrite: boolean;
}

export interface JiraSeed {
  readonly projects?: readonly { readonly key: string; readonly name: string }[];
  readonly issues?: readonly {
    readonly project: string;
    readonly summary: string;
    readonly labels?: readonly string[];
  }[];
}

const errorAnswer = (status: number, messages: readonly string[], errors: Record<string, string> = {}) => ({
  status,
  body: { errorMessages: [...messages], errors } as JsonValue,
});
const refuse = (...args: Parameters<typeof errorAnswer>): Refusal => new Refusal(errorAnswer(...args));
const noIssue = () => refuse(404, ['Issue does not exist or you do not have permission to see it.']);

type Handler = (by: string) => OutgoingAnswer;

export class JiraStandIn implements StandIn {
  readonly vendor = 'jira' as const;
  readonly changes: ChangeLog;
  readonly #issues: Issues;
  readonly #users: ReadonlyMap<string, JiraUser>;
  #projects = new Map<string, string>();

  /** `users` by `<email>:<API token>`. */
  constructor(options: { users: ReadonlyMap<string, JiraUser>; now: () => Date }) {
    this.changes = new ChangeLog('jira', options.now);
    this.#issues = new Issues(this.changes, options.now);
    this.#users = options.users;
  }

  route(call: IncomingCall): RoutedCall {
    const encoded = /^Basic (.+)$/i.exec(call.headers.authorization ?? '')?.[1] ?? '';
    const user = this.#users.get(Buffer.from(encoded, 'base64').toString('utf8'));
    if (user === undefined) throw refuse(401, ['Client must be authenticated to access this resource.']);
    const handler = this.#handler(call);
    if (handler === undefined) {
      return { effect: 'read', handle: () => errorAnswer(404, ['null for uri: ' + call.path]) };
    }
    const effect = call.method === 'GET' || call.path === `${root}search/jql` ? 'read' : 'write';
    return {
      effect,
      handle: () => {
        if (effect === 'write' && !user.mayWrite) {
          throw refuse(403, ['You do not have permission to edit issues in this project.']);
        }
        return handler(user.accountId);
      },
    };
  }

  #handler(call: IncomingCall): Handler | undefined {
    if (!call.path.startsWith(root)) return undefined;
    const parts = call.path.slice(root.length).split('/').map(decodeURIComponent);
    const shape = parts.map((part, i) => (i % 2 === 1 && parts[0] === 'issue' ? '*' : part)).join('/');
    const [, key = '', , id = ''] = parts;
    switch (`${call.method} ${shape}`) {
      case 'GET search/jql':
      case 'POST search/jql':
        return () => this.#search(call);
      case 'POST issue':
        return (by) => this.#create(call, by);
      case 'GET issue/*':
        return () => this.#get(call, key);
      case 'PUT issue/*':
        return (by) => this.#edit(call, key, by);
      case 'DELETE issue/*':
        return (by) => this.#delete(key, by);
      case 'GET issue/*/transitions':
        return () => this.#listTransitions(key);
      case 'POST issue/*/transitions':
        return (by) => this.#transition(call, key, by);
      case 'GET issue/*/comment':
        return () => this.#listComments(call, key);
      case 'POST issue/*/comment':
        return (by) => this.#comment(call, key, by);
      case 'GET issue/*/comment/*':
        return () => this.#getComment(call, key, id);
      case 'DELETE issue/*/comment/*':
        return (by) => this.#deleteComment(key, id, by);
      case 'GET issue/*/properties/*':
        return () => this.#getProperty(key, id);
      default:
        return undefined;
    }
  }

  refuse(status: number): OutgoingAnswer {
    return errorAnswer(status, [`sandbox fault ${status}`]);
  }

  /** Keys of the issues, in order. */
  seed(seed: JiraSeed): readonly string[] {
    for (const project of seed.projects ?? []) this.#projects.set(project.key, project.name);
    return (seed.issues ?? []).map(
      ({ project, summary, labels }) =>
        this.#issues.create(project, { summary, labels: [...(labels ?? [])], issuetype: { name: 'Task' } }, {}, 'seed')
          .key,
    );
  }

  /** The issue as it stands, past the API. */
  peek(key: string): Issue | undefined {
    return structuredClone(this.#issues.find(key));
  }

  snapshot(): JsonRecord {
    return { ...this.#issues.snapshot(), projects: Object.fromEntries(this.#projects) };
  }

  restore(snapshot: JsonRecord): void {
    this.#issues.restore(snapshot);
    this.#projects = new Map(Object.entries((snapshot['projects'] ?? {}) as Record<string, string>));
  }

  #body(call: IncomingCall): JsonRecord {
    return jsonBody(call, () =>
      refuse(400, ['There was an error parsing JSON. Check that your request body is valid.']),
    );
  }

  #issue(key: string): Issue {
    const issue = this.#issues.find(key);
    if (issue === undefined) throw noIssue();
    return issue;
  }

  #properties(value: JsonValue | undefined): JsonRecord {
    const properties = readProperties(value);
    if (properties === undefined) throw refuse(400, [], { properties: 'Invalid entity properties' });
    return properties;
  }

  #fields(value: JsonValue | undefined): JsonRecord {
    if (value === undefined) return {};
    if (!isRecord(value)) throw refuse(400, [], { fields: 'Can not deserialize fields' });
    return value;
  }

  /** api-group-issues, "Create issue": 201 with id, key, self. */
  #create(call: IncomingCall, by: string): OutgoingAnswer {
    const body = this.#body(call);
    const fields = this.#fields(body['fields']);
    const project = isRecord(fields['project'] ?? null) ? asText((fields['project'] as JsonRecord)['key']) : '';
    const refusals = refuseFields(fields, { creating: true });
    if (!this.#projects.has(project)) refusals['project'] = 'Specify a valid project ID or key';
    if (Object.keys(refusals).length > 0) throw refuse(400, [], refusals);
    const { project: _project, ...others } = fields;
    const issue = this.#issues.create(project, others, this.#properties(body['properties']), by);
    return {
      status: 201,
      body: { id: issue.id, key: issue.key, self: `https://sandbox.invalid${root}issue/${issue.id}` },
    };
  }

  /** "Edit issue": 204; fields, update and properties in one call. */
  #edit(call: IncomingCall, key: string, by: string): OutgoingAnswer {
    const issue = this.#issue(key);
    const body = this.#body(call);
    const fields = { ...this.#fields(body['fields']) };
    for (const [name, operations] of Object.entries(this.#fields(body['update']))) {
      const labels = name === 'labels' ? editedLabels(issue.fields['labels'], operations) : undefined;
      if (labels === undefined) throw refuse(400, [], { [name]: `Field '${name}' cannot be updated this way.` });
      if (fields[name] !== undefined) throw refuse(400, [], { [name]: 'Field is in both fields and update.' });
      fields[name] = labels;
    }
    const refusals = refuseFields(fields, { creating: false });
    if (Object.keys(refusals).length > 0) throw refuse(400, [], refusals);
    this.#issues.change(issue, { fields, properties: this.#properties(body['properties']) }, by);
    return { status: 204 };
  }

  #delete(key: string, by: string): OutgoingAnswer {
    this.#issues.delete(this.#issue(key), by);
    return { status: 204 };
  }

  #shown(issue: Issue, fieldList: readonly string[], propertyList: readonly string[]): JsonRecord {
    const all: JsonRecord = {
      ...issue.fields,
      project: { key: issue.project },
      status: { name: issue.status, id: statusIds[issue.status]! },
      created: issue.created,
      updated: issue.updated,
    };
    const wanted = fieldList.length === 0 || fieldList.includes('*all') ? Object.keys(all) : fieldList;
    return {
      id: issue.id,
      key: issue.key,
      fields: Object.fromEntries(wanted.filter((f) => all[f] !== undefined).map((f) => [f, all[f]!])),
      ...(propertyList.length === 0
        ? {}
        : {
            properties: Object.fromEntries(
              Object.entries(issue.properties).filter(
                ([k]) => propertyList.includes(k) || propertyList.includes('*all'),
              ),
            ),
          }),
    };
  }

  #get(call: IncomingCall, key: string): OutgoingAnswer {
    const list = (name: string) => (call.query.get(name) ?? '').split(',').filter((f) => f !== '');
    return { status: 200, body: this.#shown(this.#issue(key), list('fields'), list('properties')) };
  }

  /** "Get transitions": only those that lead on from the issue's status. */
  #listTransitions(key: string): OutgoingAnswer {
    const { status } = this.#issue(key);
    const possible = transitions.filter((t) => (t.from as readonly string[]).includes(status));
    return {
      status: 200,
      body: {
        transitions: possible.map((t) => ({ id: t.id, name: t.name, to: { name: t.to, id: statusIds[t.to]! } })),
      },
    };
  }

  #transition(call: IncomingCall, key: string, by: string): OutgoingAnswer {
    const issue = this.#issue(key);
    const body = this.#body(call);
    const id = isRecord(body['transition'] ?? null) ? (body['transition'] as JsonRecord)['id'] : undefined;
    const transition = transitions.find((t) => t.id === id && (t.from as readonly string[]).includes(issue.status));
    if (transition === undefined) {
      throw refuse(400, [
        `It seems that you have tried to perform a workflow operation (${asText(id)}) that is not valid for the current state of this issue.`,
      ]);
    }
    this.#issues.change(issue, { status: transition.to, properties: this.#properties(body['properties']) }, by);
    return { status: 204 };
  }

  #shownComment(comment: Comment, call: IncomingCall): JsonRecord {
    const withProperties = (call.query.get('expand') ?? '').split(',').includes('properties');
    return {
      id: comment.id,
      author: { accountId: comment.author },
      body: comment.body,
      created: comment.created,
      ...(withProperties
        ? { properties: Object.entries(comment.properties).map(([key, value]) => ({ key, value })) }
        : {}),
    };
  }

  /** api-group-issue-comments, "Add comment": 201; the body is an Atlassian document. */
  #comment(call: IncomingCall, key: string, by: string): OutgoingAnswer {
    const issue = this.#issue(key);
    const body = this.#body(call);
    if (!isAdf(body['body'])) throw refuse(400, [], { comment: 'Comment body is not valid!' });
    const comment = this.#issues.addComment(issue, body['body']!, this.#properties(body['properties']), by);
    return { status: 201, body: this.#shownComment(comment, call) };
  }

  /** "Get comments": orderBy=-created gives the newest first; properties only with expand=properties. */
  #listComments(call: IncomingCall, key: string): OutgoingAnswer {
    const { comments } = this.#issue(key);
    const ordered = call.query.get('orderBy') === '-created' ? comments.toReversed() : comments;
    const startAt = Number(call.query.get('startAt') ?? 0);
    const maxResults = Math.min(Number(call.query.get('maxResults') ?? 100), 100);
    return {
      status: 200,
      body: {
        startAt,
        maxResults,
        total: comments.length,
        comments: ordered.slice(startAt, startAt + maxResults).map((comment) => this.#shownComment(comment, call)),
      },
    };
  }

  #foundComment(key: string, id: string): { issue: Issue; comment: Comment } {
    const issue = this.#issue(key);
    const comment = issue.comments.find((c) => c.id === id);
    if (comment === undefined) throw refuse(404, [`Can not find a comment for the id: ${id}.`]);
    return { issue, comment };
  }

  #getComment(call: IncomingCall, key: string, id: string): OutgoingAnswer {
    return { status: 200, body: this.#shownComment(this.#foundComment(key, id).comment, call) };
  }

  #deleteComment(key: string, id: string, by: string): OutgoingAnswer {
    const { issue, comment } = this.#foundComment(key, id);
    this.#issues.deleteComment(issue, comment, by);
    return { status: 204 };
  }

  #getProperty(key: string, name: string): OutgoingAnswer {
    const value = this.#issue(key).properties[name];
    if (value === undefined) throw refuse(404, [`The property with key '${name}' does not exist.`]);
    return { status: 200, body: { key: name, value } };
  }

  /**
   * api-group-issue-search, "Search for issues using JQL enhanced search": bounded queries only; token-paged; ids only
   * unless fields are asked for. Jira's index lags by seconds; the stand-in's does not.
   */
  #search(call: IncomingCall): OutgoingAnswer {
    const body = call.method === 'POST' ? this.#body(call) : {};
    const option = (name: string): string => asText(body[name] ?? call.query.get(name) ?? '');
    const list = (name: string): string[] =>
      Array.isArray(body[name])
        ? body[name].map(asText)
        : option(name)
            .split(',')
            .filter((f) => f !== '');
    try {
      const found = this.#issues.search(parseJql(option('jql')));
      const at = Number(option('nextPageToken') || 0);
      const size = Math.min(Number(option('maxResults') || 50), 100);
      const fields = list('fields');
      return {
        status: 200,
        body: {
          issues: found
            .slice(at, at + size)
            .map((issue) => (fields.length === 0 ? { id: issue.id } : this.#shown(issue, fields, list('properties')))),
          ...(at + size < found.length ? { nextPageToken: String(at + size) } : {}),
          isLast: at + size >= found.length,
        },
      };
    } catch (error) {
      if (error instanceof JqlRefused) throw refuse(400, [error.message]);
      throw error;
    }
  }
}
