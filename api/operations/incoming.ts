/** What a door takes for an event, before anything is known of it. */
import type { ApiErrorCode } from '../errors.ts';

export type Refused = { readonly code: ApiErrorCode; readonly message: string };

export type Incoming =
  | { readonly kind: 'value'; readonly value: unknown }
  /** Not even JSON. `sha256`, hex, of the bytes as they came. */
  | { readonly kind: 'unreadable'; readonly refusal: Refused; readonly sha256: string };

export const incoming = (value: unknown): Incoming => ({ kind: 'value', value });
