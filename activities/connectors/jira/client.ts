/**
 * Calls to the Jira Cloud platform REST API v3, with an account's API token. Errors are `errorMessages` and `errors` by
 * field. https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/
 */
import { z } from 'zod';
import { ConnectorError, type CallContext, type Json, type JsonObject, type Target } from '../connector.ts';
import { readJson, send, type VendorAnswer, type VendorRequest } from '../transport/request.ts';

export const credential = z.strictObject({ email: z.email().max(320), apiToken: z.string().min(1).max(1024) });

export const issueKey = z.string().regex(/^[A-Z][A-Z0-9_]{1,20}-\d{1,10}$/);

export async function call(
  ctx: CallContext,
  request: Pick<VendorRequest, 'method' | 'path' | 'effect'> & { readonly json?: Json },
): Promise<VendorAnswer> {
  const { email, apiToken } = credential.parse(ctx.credential);
  return send(ctx, {
    method: request.method,
    path: `/rest/api/3${request.path}`,
    effect: request.effect,
    headers: {
      authorization: `Basic ${Buffer.from(`${email}:${apiToken}`).toString('base64')}`,
      ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
  });
}

/**
 * Our mark: an entity property, which no screen shows and any writer may set in the same call as its change.
 * https://developer.atlassian.com/cloud/jira/platform/jira-entity-properties/
 */
export const propertyKey = 'trailkeeper';

export const markOf = (ctx: CallContext) => [
  { key: propertyKey, value: { correlationId: ctx.correlationId, actionId: ctx.actionId, step: ctx.step } },
];

/**
 * Created issues also carry two labels: JQL finds a label, whereas it finds an entity property only where an installed
 * app declares an index for it. Labels hold no blanks and at most 255 characters.
 */
export const labelsOf = (ctx: CallContext) => ({
  action: `trailkeeper-action-${ctx.actionId}`,
  correlation: `trailkeeper-${ctx.correlationId}`,
});

export const ownLabel = (label: string): boolean => /^trailkeeper-/i.test(label);

const propertyShape = z.looseObject({ actionId: z.string(), correlationId: z.string() });

/** Id of the action that wrote last, out of a set of properties; null where none of ours did. */
export function actionOf(properties: unknown): string | null {
  const parsed = z.looseObject({ [propertyKey]: propertyShape }).safeParse(properties);
  return parsed.success ? parsed.data[propertyKey].actionId : null;
}

const issueShape = z.looseObject({
  id: z.string(),
  key: z.string(),
  fields: z.record(z.string(), z.json()),
  properties: z.record(z.string(), z.json()).optional(),
});
export type Issue = z.infer<typeof issueShape>;

/** An issue with our mark; null where there is none that the account may see. */
export async function getIssue(ctx: CallContext, key: string, fields: readonly string[]): Promise<Issue | null> {
  const query = `fields=${fields.map(encodeURIComponent).join(',')}&properties=${propertyKey}`;
  try {
    return readJson(
      await call(ctx, { method: 'GET', path: `/issue/${key}?${query}`, effect: 'read' }),
      issueShape,
      'read',
    );
  } catch (error) {
    if (error instanceof ConnectorError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

const searchShape = z.looseObject({ issues: z.array(issueShape) });

/** Issues with a label, newest first. https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/ */
export async function issuesWithLabel(ctx: CallContext, label: string, fields: readonly string[]): Promise<Issue[]> {
  const answer = await call(ctx, {
    method: 'POST',
    path: '/search/jql',
    effect: 'read',
    json: {
      jql: `labels = "${label}" ORDER BY created DESC`,
      maxResults: 10,
      fields: [...fields],
      properties: [propertyKey],
    },
  });
  return readJson(answer, searchShape, 'read').issues;
}

export const targetOf = (key: string): Target => ({ kind: 'issue', id: key });

const inline = (line: string, i: number): JsonObject[] => [
  ...(i === 0 ? [] : [{ type: 'hardBreak' }]),
  ...(line === '' ? [] : [{ type: 'text', text: line }]),
];

/**
 * Atlassian Document Format of plain text: a paragraph for each block, a hard break for each line.
 * https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
 */
export function documentOf(text: string): JsonObject {
  const paragraphs = text
    .replace(/\r\n/g, '\n')
    .split(/\n{2,}/)
    .filter((block) => block.trim() !== '');
  return {
    type: 'doc',
    version: 1,
    content: paragraphs.map((block) => ({ type: 'paragraph', content: block.split('\n').flatMap(inline) })),
  };
}

const nodeShape: z.ZodType<Node> = z.lazy(() =>
  z.looseObject({ type: z.string(), text: z.string().optional(), content: z.array(nodeShape).optional() }),
);
interface Node {
  type: string;
  text?: string | undefined;
  content?: Node[] | undefined;
}

function nodeText(node: Node): string {
  if (node.type === 'hardBreak') return '\n';
  if (node.text !== undefined) return node.text;
  return (node.content ?? []).map(nodeText).join(node.type === 'doc' ? '\n\n' : '');
}

/** The text of a document; null where there is none. */
export function textOf(document: Json | undefined): string | null {
  const parsed = nodeShape.safeParse(document);
  return parsed.success ? nodeText(parsed.data) : null;
}
