/** Branded identifiers. A brand is given by a parser or a generator, never by a cast in calling code. */
declare const brand: unique symbol;
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Name of an instance (tenant): 1 to 40 of `a-z0-9-`, begins with a letter, never changes. */
export type InstanceId = Branded<string, 'InstanceId'>;
/** UUIDv7, lower case: the idempotency key of an event; its time part is when the emitter made it. */
export type EventId = Branded<string, 'EventId'>;
/** W3C trace id: 32 lower-case hex digits, not all zero. */
export type CorrelationId = Branded<string, 'CorrelationId'>;
/** W3C span id: 16 lower-case hex digits, not all zero. */
export type SpanId = Branded<string, 'SpanId'>;
/** UUIDv7 of the event that opened the run. */
export type RunId = Branded<string, 'RunId'>;
/** Opaque name of a person, agent or service inside one instance. */
export type PrincipalId = Branded<string, 'PrincipalId'>;
/** Opaque id of a data subject: `sub_` and 32 hex digits. */
export type SubjectId = Branded<string, 'SubjectId'>;

export const instanceIdPattern = /^[a-z][a-z0-9-]{0,39}$/;
export const eventIdPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const correlationIdPattern = /^(?!0{32})[0-9a-f]{32}$/;
export const spanIdPattern = /^(?!0{16})[0-9a-f]{16}$/;
export const principalIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
export const subjectIdPattern = /^sub_[0-9a-f]{32}$/;

/** Milliseconds since 1970 that a UUIDv7 carries in its first 48 bits (RFC 9562, 5.7). */
export const eventIdTimeMs = (id: EventId): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
