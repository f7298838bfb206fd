/**
 * The API's one vocabulary of errors: `extensions.code` of every GraphQL error and `error.code` of the other doors.
 * docs/errors.md says for each what happened and what to do; a test compares the two.
 */

interface Kind {
  /** HTTP status of an answer that carries nothing else. */
  readonly status: number;
  /** Whether the same request, with the same ids, may succeed later without anything being changed. */
  readonly retryable: boolean;
}

const kind = (status: number, retryable = false): Kind => ({ status, retryable });

export const errorKinds = {
  UNAUTHENTICATED: kind(401),
  FORBIDDEN: kind(403),
  /** Also for whatever belongs to another instance: the two can't be told apart. */
  NOT_FOUND: kind(404),
  BAD_INPUT: kind(400),
  BODY_TOO_LARGE: kind(413),
  UNSUPPORTED_MEDIA_TYPE: kind(415),
  UNFINISHED_LINE: kind(400),
  QUERY_TOO_DEEP: kind(400),
  QUERY_TOO_COSTLY: kind(400),
  TOO_MANY_ALIASES: kind(400),
  TOO_MANY_TOKENS: kind(400),
  BATCH_TOO_LARGE: kind(400),
  QUEUE_FULL: kind(429, true),
  TRAIL_UNAVAILABLE: kind(503, true),
  ARCHIVE_BEHIND: kind(503, true),
  WORKFLOWS_UNAVAILABLE: kind(503, true),
  ID_CONFLICT: kind(409),
  SEQUENCE_CONFLICT: kind(409),
  ID_TOO_OLD: kind(422),
  IDENTITY_UNKNOWN: kind(422),
  ENTRY_TOO_LARGE: kind(413),
  EVENT_TOO_LARGE: kind(413),
  RUN_CLOSED: kind(409),
  BUDGET_EXCEEDED: kind(409),
  SUSPENDED: kind(409),
  TOOL_UNKNOWN: kind(400),
  CONNECTOR_NOT_CONFIGURED: kind(409),
  APPROVAL_NOT_PENDING: kind(409),
  APPROVAL_EXPIRED: kind(409),
  APPROVER_IS_REQUESTER: kind(403),
  PARAMETERS_CHANGED: kind(409),
  ACTION_NOT_UNKNOWN: kind(409),
  LOG_CLOSED: kind(409),
  INSTANCE_NAME_RESERVED: kind(422),
  LOG_INCONSISTENT: kind(500),
  LOG_FORKED: kind(500),
  LOG_BEHIND_ANCHOR: kind(500),
  FORMAT_UNKNOWN: kind(500),
  KEY_UNAVAILABLE: kind(503),
  KEY_PROVIDER_UNAVAILABLE: kind(503, true),
  CONTENT_ERASED: kind(410),
  LINK_SPENT: kind(410),
  INTERNAL: kind(500),
} as const satisfies Record<string, Kind>;

export type ApiErrorCode = keyof typeof errorKinds;

export const isApiErrorCode = (code: unknown): code is ApiErrorCode =>
  typeof code === 'string' && Object.hasOwn(errorKinds, code);

/**
 * What a resolver or an operation throws when a request can't be carried out. The message is shown to the caller: it
 * says what was wrong, which field or id, and what to do; never content, secrets or personal data.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ApiErrorCode;
  readonly retryable: boolean;
  readonly status: number;

  constructor(code: ApiErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = errorKinds[code].retryable;
    this.status = errorKinds[code].status;
  }
}

/** The same for whatever is absent and whatever belongs to another instance. `what` names a kind, never an id. */
export const notFound = (what: string): ApiError =>
  new ApiError('NOT_FOUND', `no such ${what} in this instance; check the id`);
