/** Errors of the log. `code` is part of the API's error vocabulary (docs/errors.md). */
export type TrailErrorCode =
  | 'QUEUE_FULL' // too many events wait to be appended; try again later
  | 'TRAIL_UNAVAILABLE' // the log can't be written or read now; try again with the same ids
  | 'LOG_BEHIND_ANCHOR' // the log is shorter than a checkpoint that was given out: it was rolled back
  | 'LOG_INCONSISTENT' // the log does not hash to what was signed or to what its own segments say
  | 'LOG_FORKED' // another history was signed at this size
  | 'FORMAT_UNKNOWN' // the record was written in another version of its format
  | 'KEY_UNAVAILABLE' // a key is missing or was destroyed
  | 'KEY_PROVIDER_UNAVAILABLE' // the provider of the keys can't be reached now; try again
  | 'ARCHIVE_BEHIND' // the events stand in the log, but not yet in the archive, which the instance demands
  | 'LOG_CLOSED' // the log was restored from its archive and goes on only when two people have approved it
  | 'NOT_FOUND';

const retryable: ReadonlySet<TrailErrorCode> = new Set<TrailErrorCode>([
  'QUEUE_FULL',
  'TRAIL_UNAVAILABLE',
  'KEY_PROVIDER_UNAVAILABLE',
  'ARCHIVE_BEHIND',
]);

export class TrailError extends Error {
  override readonly name = 'TrailError';
  readonly code: TrailErrorCode;
  readonly retryable: boolean;

  constructor(code: TrailErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = retryable.has(code);
  }
}

/** Why one event was not appended; the others of the same call are not affected. */
export type RefusalCode =
  | 'INVALID_EVENT' // did not pass the event model
  | 'ENTRY_TOO_LARGE'
  | 'EVENT_TOO_LARGE' // all parts together
  | 'ID_CONFLICT' // the id stands in the log with other content
  | 'SEQUENCE_CONFLICT' // the emitter's sequence number stands in the log with another id
  | 'ID_TOO_OLD' // the id's time is before the horizon
  | 'STALE_CONTROL_EPOCH'; // control state changed since the decision was made: decide again

export interface Refusal {
  readonly code: RefusalCode;
  /** What was wrong and what to do; names fields, never values that may be content. */
  readonly message: string;
}
