/** Reading the index: events by filter in stable pages, one event, gaps. Everything is confined to one instance. */
import type { Filter } from 'mongodb';
import type { EventId } from '../../schema/ids.ts';
import type { EventFilter } from '../../schema/generated/resolvers.ts';
import type { IndexRow } from '../../trail/projection.ts';
import type { IndexedEvent, TrailReader } from '../../trail/reader.ts';
import { ApiError, notFound } from '../errors.ts';

/** How long a query waits for the index to hold what was acknowledged before it was asked. */
export const freshMs = 2000;

/** How far an answer reaches: rows below `upTo`, which may be `behind` entries short of what was acknowledged. */
export interface Extent {
  readonly behind: number;
  readonly upTo: number;
}

export const extentOf = (reader: TrailReader): Promise<Extent> => reader.reach(freshMs);

/** What is absent, where the index holds everything; else it may be among what is not indexed yet. */
export const absent = (what: string, { behind }: Extent): ApiError =>
  behind === 0
    ? notFound(what)
    : new ApiError(
        'TRAIL_UNAVAILABLE',
        `the index is ${behind} ${behind === 1 ? 'entry' : 'entries'} behind; ask again in a moment`,
      );

/** Each narrows the rows down to few, whatever else is asked. */
const narrowing = ['correlationId', 'runId', 'emitter', 'resource'] as const satisfies readonly (keyof EventFilter)[];
/** Each has an index, so that it finds its matches directly where nothing else is asked. */
const direct = ['principal', 'action', 'system'] as const satisfies readonly (keyof EventFilter)[];

/** Whether MongoDB finds a page of matches without looking at many rows that do not match. */
const isIndexed = (filter: EventFilter, confined: boolean): boolean => {
  const given = (name: keyof EventFilter) => filter[name] !== undefined && filter[name] !== null;
  if (narrowing.some(given)) return true;
  const conditions = (Object.keys(filter) as (keyof EventFilter)[]).filter(given).length + (confined ? 1 : 0);
  return conditions === 0 || (conditions === 1 && (confined || direct.some(given)));
};

export const filterOf = (filter: EventFilter | null | undefined): Filter<IndexRow> => {
  if (!filter) return {};
  const conditions: Filter<IndexRow>[] = [];
  const equal = (field: keyof IndexRow, value: string | null | undefined) => {
    if (value !== undefined && value !== null) conditions.push({ [field]: value });
  };
  const oneOf = (field: keyof IndexRow, values: readonly string[] | null | undefined) => {
    if (values) conditions.push({ [field]: values.length === 1 ? values[0]! : { $in: [...values] } });
  };
  const between = (field: 'et' | 'rt', from: Date | null | undefined, before: Date | null | undefined) => {
    if (from) conditions.push({ [field]: { $gte: from } });
    if (before) conditions.push({ [field]: { $lt: before } });
  };
  equal('corr', filter.correlationId);
  equal('run', filter.runId);
  equal('session', filter.sessionId);
  equal('cause', filter.causedBy);
  equal('principal', filter.principal);
  equal('emitter', filter.emitter);
  equal('subjects', filter.subject);
  oneOf('action', filter.action);
  oneOf('phase', filter.phase);
  oneOf('outcome', filter.outcome);
  oneOf('system', filter.system);
  oneOf('error', filter.error);
  if (filter.resource) conditions.push({ $or: [{ res: filter.resource }, { channel: filter.resource }] });
  between('et', filter.eventTimeFrom, filter.eventTimeBefore);
  between('rt', filter.receivedTimeFrom, filter.receivedTimeBefore);
  return conditions.length === 0 ? {} : { $and: conditions };
};

export interface PageRequest {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

export interface Page extends Extent {
  /** In log order, whichever way was paged. */
  readonly events: readonly IndexedEvent[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** Where to go on; past the last event where rows were looked at that do not match. */
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

const cursorPattern = /^i(0|[1-9][0-9]{0,15})$/;

/** A cursor is the log index, opaque to clients. */
export const cursorOf = (index: number): string => Buffer.from(`i${index}`).toString('base64url');

export const indexOfCursor = (cursor: string): number => {
  const index = cursorPattern.exec(Buffer.from(cursor, 'base64url').toString('latin1'))?.[1];
  if (index === undefined || !Number.isSafeInteger(Number(index)))
    throw new ApiError('BAD_INPUT', 'that is no cursor of a page of events');
  return Number(index);
};

export interface PageLimits {
  readonly pageSizeMax: number;
  readonly scannedRowsMax: number;
}

const defaultPageSize = 50;

/**
 * One page. Bounded in what it returns and, where no index narrows the filter, in the rows that it looks at: the page
 * may then be short of matches while more follow.
 */
export const findPage = async (
  reader: TrailReader,
  filter: EventFilter | null | undefined,
  confine: Filter<IndexRow>,
  page: PageRequest,
  limits: PageLimits,
): Promise<Page> => {
  const backwards = isBackwards(page);
  const size = pageSize(backwards ? page.last : page.first, limits.pageSizeMax);
  const extent = await extentOf(reader);
  const from = page.after === undefined || page.after === null ? 0 : indexOfCursor(page.after) + 1;
  const to = Math.min(
    extent.upTo,
    page.before === undefined || page.before === null ? extent.upTo : indexOfCursor(page.before),
  );
  const scanned = isIndexed(filter ?? {}, Object.keys(confine).length > 0) ? Infinity : limits.scannedRowsMax;
  const start = backwards ? Math.max(from, to - scanned) : from;
  const end = backwards ? to : Math.min(to, from + scanned);
  const conditions: Filter<IndexRow> = { $and: [filterOf(filter), confine, { _id: { $gte: start, $lt: end } }] };
  const found = backwards
    ? (await reader.findLatest(conditions, size + 1)).toReversed()
    : await reader.find(conditions, { limit: size + 1 });
  const more = found.length > size;
  const events = more ? (backwards ? found.slice(1) : found.slice(0, size)) : found;
  const first = events[0]?.index;
  const last = events.at(-1)?.index;
  // Where all rows of the range were looked at, the page ends where they do, not at its last match.
  const endIndex = backwards || more ? last : end - 1;
  const startIndex = !backwards || more ? first : start;
  return {
    ...extent,
    events,
    hasNextPage: backwards ? to < extent.upTo : more || end < to,
    hasPreviousPage: backwards ? more || start > from : from > 0,
    startCursor: startIndex === undefined ? null : cursorOf(startIndex),
    endCursor: endIndex === undefined || endIndex < 0 ? (page.after ?? null) : cursorOf(Math.max(endIndex, from - 1)),
  };
};

const isBackwards = ({ first, last }: PageRequest): boolean => {
  const backwards = last !== undefined && last !== null;
  if (backwards && first !== undefined && first !== null)
    throw new ApiError('BAD_INPUT', 'give first or last, not both');
  return backwards;
};

const pageSize = (asked: number | null | undefined, sizeMax: number): number => {
  const size = asked ?? defaultPageSize;
  if (size < 1 || size > sizeMax) throw new ApiError('BAD_INPUT', `a page holds 1 to ${sizeMax} events`);
  return size;
};

export const findEvent = async (reader: TrailReader, id: EventId): Promise<IndexedEvent> => {
  const extent = await extentOf(reader);
  const event = await reader.byId(id);
  if (!event) throw absent('event', extent);
  return event;
};
