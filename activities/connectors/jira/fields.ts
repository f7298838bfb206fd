/** The fields of an issue that agents may set, as they give them and as Jira takes and shows them. */
import { z } from 'zod';
import type { CallContext, JsonObject } from '../connector.ts';
import { sameValue } from '../readBack.ts';
import { actionOf, documentOf, ownLabel, propertyKey, textOf, type Issue } from './client.ts';

const summary = z
  .string()
  .trim()
  .min(1)
  .max(255)
  .refine((text) => !/[\r\n]/.test(text), 'no line breaks');
const label = z
  .string()
  .regex(/^\S{1,255}$/)
  .refine((text) => !ownLabel(text), 'labels that begin with "trailkeeper-" are ours');

const optional = {
  /** Plain text; blank lines part paragraphs. */
  description: z.string().max(30_000).nullable().optional(),
  priority: z.string().min(1).max(64).optional(),
  labels: z.array(label).max(50).optional(),
  /** Account id; null: nobody. */
  assignee: z
    .string()
    .regex(/^[A-Za-z0-9:_-]{1,128}$/)
    .nullable()
    .optional(),
  duedate: z.iso.date().nullable().optional(),
};

export const newFields = z.strictObject({ summary, ...optional });
export const changedFields = z
  .strictObject({ summary: summary.optional(), ...optional })
  .refine((fields) => Object.values(fields).some((value) => value !== undefined), 'at least one field');
export type Fields = z.infer<typeof changedFields>;

/** In Jira's form. */
export function toVendor(fields: Fields): JsonObject {
  return {
    ...(fields.summary === undefined ? {} : { summary: fields.summary }),
    ...(fields.description === undefined
      ? {}
      : { description: fields.description === null ? null : documentOf(fields.description) }),
    ...(fields.priority === undefined ? {} : { priority: { name: fields.priority } }),
    ...(fields.labels === undefined ? {} : { labels: fields.labels }),
    ...(fields.assignee === undefined
      ? {}
      : { assignee: fields.assignee === null ? null : { accountId: fields.assignee } }),
    ...(fields.duedate === undefined ? {} : { duedate: fields.duedate }),
  };
}

const named = z.looseObject({ name: z.string() });
const account = z.looseObject({ accountId: z.string() });

/** From Jira's form into that of the parameters; only the fields asked for. */
export function fromVendor(issue: Issue, names: readonly string[]): JsonObject {
  const read: Record<string, () => JsonObject[string]> = {
    description: () => textOf(issue.fields['description']),
    priority: () => named.safeParse(issue.fields['priority']).data?.name ?? null,
    assignee: () => account.safeParse(issue.fields['assignee']).data?.accountId ?? null,
    status: () => named.safeParse(issue.fields['status']).data?.name ?? null,
    issuetype: () => named.safeParse(issue.fields['issuetype']).data?.name ?? null,
    labels: () => {
      const labels = z.array(z.string()).safeParse(issue.fields['labels']).data ?? [];
      return labels.filter((l) => !ownLabel(l)).toSorted();
    },
  };
  return Object.fromEntries(names.map((name) => [name, read[name]?.() ?? issue.fields[name] ?? null]));
}

/** As they would be read back: Jira keeps neither the order of labels nor blank lines between paragraphs. */
const normalised = (values: JsonObject): JsonObject => ({
  ...values,
  ...(Array.isArray(values['labels'])
    ? { labels: values['labels'].filter((l) => typeof l === 'string').toSorted() }
    : {}),
  ...(typeof values['description'] === 'string' ? { description: textOf(documentOf(values['description'])) } : {}),
});

/** True where the fields that were asked for are there and carry this action's mark. */
export const isAsWritten = (ctx: CallContext, wanted: JsonObject, issue: Issue, names: readonly string[]): boolean =>
  actionOf(issue.properties) === ctx.actionId && sameValue(normalised(wanted), fromVendor(issue, names));

/** Values for the record: the fields, and our mark. */
export const recorded = (issue: Issue, names: readonly string[]): JsonObject => ({
  ...fromVendor(issue, names),
  [propertyKey]: issue.properties?.[propertyKey] ?? null,
});

/** The parameters' fields without those that are absent. */
export const given = (fields: Fields): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JsonObject;
