/** Appends an event of the platform's own, and says in the API's words where that fails. */
import type { z } from 'zod';
import { platformEvent, type EventInput } from '../../schema/event.ts';
import { misfits } from '../../schema/fit.ts';
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

const issuesMax = 5;

/** Where `input` does not fit its schema, and what would; the caller's values are never in it. */
export const issuesOf = (error: z.ZodError, input: unknown): string => {
  const all = misfits(error, input);
  const more = all.length > issuesMax ? `; and ${all.length - issuesMax} more` : '';
  return `${all.slice(0, issuesMax).join('; ')}${more}`;
};

/** Throws ApiError: BAD_INPUT where what the caller gave does not fit an entry, else the refusal's code. */
export const appendOwn = async ({ instance }: OperationContext, event: EventInput): Promise<Receipt> => {
  const parsed = platformEvent.safeParse(event);
  if (!parsed.success)
    throw new ApiError('BAD_INPUT', `it does not fit into an entry (${issuesOf(parsed.error, event)})`);
  const [result] = await instance.trail.writer.append([parsed.data], 'platform');
  if (result!.status !== 'refused') return result!.receipt;
  throw new ApiError(codeOfRefusal(result!.refusal.code), result!.refusal.message);
};
