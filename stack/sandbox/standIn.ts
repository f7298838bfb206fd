/**
 * What a stand-in for a vendor is. A stand-in is not the vendor: it implements the calls that our connectors make, as
 * the vendor's documentation (cited at each behaviour) describes them, and refuses what the vendor would refuse.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Change, ChangeLog } from './changeLog.ts';

export const vendors = ['salesforce', 'slack', 'gmail', 'jira'] as const;
export type Vendor = (typeof vendors)[number];

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };
export type JsonRecord = { [key: string]: JsonValue };

export interface IncomingCall {
  readonly method: string;
  /** Path without the query, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** `body` undefined: no body, as with 204. */
export interface OutgoingAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: JsonValue;
}

/** A call that was recognised: what it does to the vendor's state, and how to carry it out. */
export interface RoutedCall {
  readonly effect: 'read' | 'write';
  handle(): OutgoingAnswer | Promise<OutgoingAnswer>;
}

export interface StandIn {
  readonly vendor: Vendor;
  readonly changes: ChangeLog;
  /** Recognises every call; one that the vendor does not know is routed to its refusal. */
  route(call: IncomingCall): RoutedCall;
  /** How this vendor words an answer of that status. */
  refuse(status: number): OutgoingAnswer;
  snapshot(): JsonRecord;
  restore(snapshot: JsonRecord): void | Promise<void>;
  stop?(): Promise<void>;
}

/** What is kept of a stand-in between two starts. */
export interface SavedState {
  readonly state: JsonRecord;
  readonly changes: readonly Change[];
}

/** Thrown inside a stand-in to answer with the vendor's refusal. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly answer: OutgoingAnswer;

  constructor(answer: OutgoingAnswer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A scalar as text; '' for null, lists and objects, which have no text. */
export const asText = (value: JsonValue | undefined): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? `${value}` : '';

/** The body as a JSON object; anything else is answered with `otherwise`. */
export function jsonBody(call: IncomingCall, otherwise: () => Refusal): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(call.body);
  } catch {
    throw otherwise();
  }
  if (!isRecord(value)) throw otherwise();
  return value;
}
