/**
 * What a connector is: a description of the tools of one system that the guarded action (workflows/action.ts) can
 * carry out without knowing the vendor. A connector never appends to the log, never retries and never reads a clock:
 * it makes the one call it is asked for and says what happened, or throws a `ConnectorError`.
 */
import type { z } from 'zod';
import type { Action, ChannelKind, ErrorCode, System } from '../../schema/taxonomy.ts';
import type { SubjectRef } from '../../schema/event.ts';
import type { CorrelationId, EventId } from '../../schema/ids.ts';

export type Json = z.infer<ReturnType<typeof z.json>>;
export type JsonObject = { [key: string]: Json };

/** One object in the target system, by its original id. `subject` is the person it is about, where it is about one. */
export interface Target {
  readonly kind: string;
  readonly id: string;
  readonly subject?: SubjectRef;
}

/** What is known of one object that a step concerns. Steps of a bulk action have many. */
export interface StepItem {
  /** Absent for an object that does not exist yet. */
  readonly target?: Target;
  /** What the agent asked for, in its own (logical) field names. */
  readonly requested?: Json;
  /** What goes to the vendor, in the vendor's field names, after mapping. */
  readonly sent?: Json;
}

/** One vendor call. An action has one step or, where the vendor limits the size of a call, several. */
export interface Step<P> {
  readonly params: P;
  readonly items: readonly StepItem[];
  /** Vendor field names that the call touches. */
  readonly fields: readonly string[];
  readonly channel?: { readonly kind: ChannelKind; readonly id: string };
}

/** What one call did to one object; same order and length as the step's items. */
export interface ItemResult {
  readonly outcome: 'success' | 'failure';
  /** For a created object its new id; otherwise that of the item. */
  readonly target?: Target;
  /** Values after the call, by the vendor's field names. */
  readonly after?: Json;
  readonly error?: { readonly code: ErrorCode; readonly httpStatus?: number; readonly detail?: string };
}

export interface CallResult {
  readonly items: readonly ItemResult[];
  /** What a read returned, or what a write answered; goes into the outcome's payload. */
  readonly response?: Json;
  /**
   * Objects that a read turned up without their having been named in the step (a search, a thread). Kept apart from
   * `response`, so that each can go into a part of its own subject; the caller gets both.
   */
  readonly found?: readonly { readonly target: Target; readonly values: Json }[];
}

/** `applied` and `not-applied` are certain; everything else is `undetermined`. */
export type Settlement =
  | { readonly state: 'applied'; readonly result: CallResult }
  | { readonly state: 'not-applied' }
  | { readonly state: 'undetermined'; readonly reason: string };

export interface Verification {
  /** True where every object reads back as it was meant to be. */
  readonly matches: boolean;
  /** What was read back, per item. */
  readonly items: readonly { readonly matches: boolean; readonly readBack?: Json }[];
}

/** Everything a call may use of the outside. Made new for each call by the activity. */
export interface CallContext {
  readonly baseUrl: string;
  /** Decrypted for this call only; shape as the connector's `credential` schema says. */
  readonly credential: JsonObject;
  readonly correlationId: CorrelationId;
  /** W3C traceparent of the attempt. */
  readonly traceparent: string;
  /** Id of the intent, the same for all attempts: idempotency key, and the mark by which the effect is found again. */
  readonly actionId: EventId;
  /** Position of the step in the action; with `actionId` it names one vendor call. */
  readonly step: number;
  /** Content of the field mapping in use, where the tool takes one. */
  readonly mapping?: FieldMapping;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A published field mapping: the vendor's field for each logical one. */
export interface FieldMapping {
  readonly name: string;
  readonly version: string;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * `effect`: `irreversible` is a write that can't be taken back (a message that people have read).
 * `idempotency`: what the vendor itself offers against doing a call twice. `key`: an idempotency key or an upsert by an
 * external id. `conditional`: a precondition that makes a second write fail. `none`: one attempt only, unless the
 * vendor certainly refused it.
 */
export interface Tool<P = never> {
  /** `<system>.<verb>`, for example `salesforce.updateRecords`. */
  readonly name: string;
  readonly system: System;
  readonly action: Action;
  readonly effect: 'read' | 'write' | 'irreversible';
  readonly idempotency: 'key' | 'conditional' | 'none';
  /** Template, for example `PATCH /services/data/{version}/composite/sobjects`. */
  readonly endpoint: string;
  /** Strict: unknown fields are refused. */
  readonly input: z.ZodType<P>;
  /** True where the tool needs `CallContext.mapping`; its params then have `mapping: "name@version"`. */
  readonly takesMapping: boolean;
  /** Pure. Splits the action into vendor calls and says what each concerns. */
  plan(params: P, mapping?: FieldMapping): readonly Step<P>[];
  /** Values before the call, one per item; absent for creations and messages. Makes read calls only. */
  before?(ctx: CallContext, step: Step<P>): Promise<readonly (Json | null)[]>;
  /** Makes exactly one vendor call with an effect. Throws ConnectorError. */
  call(ctx: CallContext, step: Step<P>, before: readonly (Json | null)[]): Promise<CallResult>;
  /** Reads back what the call should have left. Absent for reads. */
  verify?(ctx: CallContext, step: Step<P>, result: CallResult): Promise<Verification>;
  /**
   * `not-applied` is certain only where `settle` is asked at least this long after the call was given up: the vendor
   * may still be carrying it out, and some search indexes lag. Absent: no wait is needed.
   */
  readonly settleAfterMs?: number;
  /** Finds out, by reading, whether a call of unknown result took effect. Absent: only a person can tell. */
  settle?(ctx: CallContext, step: Step<P>, before: readonly (Json | null)[]): Promise<Settlement>;
  /** Pure. The tool call that would undo this one, from the recorded before-values; undefined where nothing can. */
  compensate?(
    step: Step<P>,
    before: readonly (Json | null)[],
    result: CallResult,
  ): { readonly tool: string; readonly params: JsonObject } | undefined;
}

export interface Connector {
  readonly system: System;
  /** `<system>/<version of this connector>`; recorded with every call. */
  readonly version: string;
  /** Shape of the credential; what it holds never leaves the activity. */
  readonly credential: z.ZodType<JsonObject>;
  readonly tools: readonly Tool<never>[];
}

/**
 * A vendor call that did not succeed, normalised.
 * `tookEffect`: `no` where the vendor certainly did nothing (it refused, or was never reached), so another attempt is
 * safe; `unknown` where it may have acted (timeout after sending, connection cut, 5xx, unreadable answer to a write).
 * `detail` may hold the vendor's words; it goes into the encrypted payload, never into messages or histories.
 */
export class ConnectorError extends Error {
  override readonly name = 'ConnectorError';
  readonly code: ErrorCode;
  readonly tookEffect: 'no' | 'unknown';
  readonly httpStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly detail: string | undefined;

  constructor(
    code: ErrorCode,
    fields: { tookEffect: 'no' | 'unknown'; httpStatus?: number; retryAfterMs?: number; detail?: string },
  ) {
    super(`connector call failed: ${code}`);
    this.code = code;
    this.tookEffect = fields.tookEffect;
    this.httpStatus = fields.httpStatus;
    this.retryAfterMs = fields.retryAfterMs;
    this.detail = fields.detail;
  }
}
