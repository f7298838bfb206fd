/**
 * The index: what queries read. One document an event, with the fields that are searched and the entry's own bytes.
 * It is a projection of the record, written by a tail; it can be dropped and made again.
 */
import { Binary, type Collection, type MongoClient } from 'mongodb';
import type { EmitterState } from '../domain/emitters.ts';
import type { Entry } from '../schema/event.ts';
import type { InstanceId } from '../schema/ids.ts';
import { instanceDatabase, majority } from './database.ts';

export interface IndexRow {
  /** Index in the log. */
  _id: number;
  id: string;
  corr: string;
  run?: string;
  session?: string;
  cause?: string;
  emitter: string;
  seq: number;
  /** Event time and received time. */
  et: Date;
  rt: Date;
  principal: string;
  action: string;
  phase: string;
  outcome?: string;
  system: string;
  /** URN of the resource, and of the channel. */
  res?: string;
  channel?: string;
  error?: string;
  subjects?: string[];
  /** Present on control entries only. */
  control?: string;
  /** Bytes of the entry, as they stand in the record. */
  entry: Binary;
  /** RFC 6962 leaf hash. */
  leaf: Binary;
  /** First index of the segment. */
  segment: number;
}

export const indexRow = (
  index: number,
  segment: number,
  bytes: Uint8Array,
  leaf: Uint8Array,
  entry: Entry,
): IndexRow => ({
  _id: index,
  id: entry.id,
  corr: entry.correlationId,
  ...(entry.runId && { run: entry.runId }),
  ...(entry.sessionId && { session: entry.sessionId }),
  ...(entry.causedBy && { cause: entry.causedBy }),
  emitter: entry.emitter.id,
  seq: entry.emitter.sequence,
  et: new Date(entry.eventTime),
  rt: new Date(entry.receivedTime),
  principal: entry.actor.principal,
  action: entry.action,
  phase: entry.phase,
  ...(entry.outcome && { outcome: entry.outcome }),
  system: entry.system,
  ...(entry.resource && { res: entry.resource.urn }),
  ...(entry.channel && { channel: entry.channel.urn }),
  ...(entry.error && { error: entry.error.code }),
  ...(entry.subjects && { subjects: entry.subjects }),
  ...(entry.control && { control: entry.control.change }),
  entry: new Binary(bytes),
  leaf: new Binary(leaf),
  segment,
});

/** State of one emitter, kept by the same tail as the index (domain/emitters.ts). */
export interface EmitterRow extends EmitterState {
  _id: string;
  /** Log index of the last entry that went into it. It only grows: a tail that lost its lease changes nothing. */
  through: number;
}

/** Where a tail stands: the first index that it has not dealt with. */
export interface TailRow {
  _id: string;
  next: number;
  /** Fencing epoch: a tail that lost its lease can't move the cursor any more. */
  fence: number;
}

export const indexTail = 'index';

export const indexOf = (client: MongoClient, instance: InstanceId): Collection<IndexRow> =>
  client.db(instanceDatabase(instance)).collection<IndexRow>('events', majority);
export const emittersOf = (client: MongoClient, instance: InstanceId): Collection<EmitterRow> =>
  client.db(instanceDatabase(instance)).collection<EmitterRow>('emitters', majority);
export const tailsOf = (client: MongoClient, instance: InstanceId): Collection<TailRow> =>
  client.db(instanceDatabase(instance)).collection<TailRow>('tails', majority);
