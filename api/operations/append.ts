/** Appends an event of the platform's own, and says in the API's words where that fails. */
import { platformEvent, type EventInput } from '../../schema/event.ts';
import type { Receipt } from '../../trail/append-item.ts';
import type { RefusalCode } from '../../trail/errors.ts';
import { ApiError, type ApiErrorCode } from '../errors.ts';
import type { OperationContext } from '../context.ts';

/** Of a refused event, in the vocabulary of docs/errors.md. */
const codes: Readonly<Record<RefusalCode, ApiErrorCode>> = {
  INVALID_EVENT: 'BAD_INPUT',
  ENTRY_TOO_LARGE: 'ENTRY_TOO_LARGE',
  EVENT_TOO_LARGE: 'EVENT_TOO_LARGE',
  ID_CONFLICT: 'ID_CONFLICT',
  SEQUENCE_CONFLICT: 'SEQUENCE_CONFLICT',
  ID_TOO_OLD: 'ID_TOO_OLD',
  STALE_CONTROL_EPOCH: 'INTERNAL',
};
export const codeOfRefusal = (code: RefusalCode): ApiErrorCode => codes[code];

/** Where an event does not fit its schema: paths and kinds, never values. */
export const issuesOf = (error: { readonly issues: readonly { path: PropertyKey[]; code: string }[] }): string =>
  error.issues
    .slice(0, 5)
    .map(({ path, code }) => `${path.map(String).join('.') || '(whole)'}: ${code}`)
    .join('; ');

/** Throws ApiError: BAD_INPUT where what the caller gave does not fit an entry, else the refusal's code. */
export const appendOwn = async ({ instance }: OperationContext, event: EventInput): Promise<Receipt> => {
  const parsed = platformEvent.safeParse(event);
  if (!parsed.success) throw new ApiError('BAD_INPUT', `it does not fit into an entry (${issuesOf(parsed.error)})`);
  const [result] = await instance.trail.writer.append([parsed.data], 'platform');
  if (result!.status !== 'refused') return result!.receipt;
  throw new ApiError(codeOfRefusal(result!.refusal.code), result!.refusal.message);
};
