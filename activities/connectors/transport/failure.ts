/**
 * How a vendor's refusal, a broken connection and an unreadable answer become one `ConnectorError`
 * (docs/connectors.md, "Failures"). The rule behind `tookEffect`: `no` only where the vendor itself says that it did
 * nothing, or was never reached. Everything else about a write is `unknown`. A read is always `no`.
 */
import type { ErrorCode } from '../../../schema/taxonomy.ts';
import { ConnectorError } from '../connector.ts';

export type CallEffect = 'read' | 'write';

/** The longest wait that an entry can hold (schema/event.ts). */
const retryAfterMsMax = 86_400_000;

export function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 401:
      return 'UNAUTHENTICATED';
    case 403:
      return 'FORBIDDEN';
    case 404:
    case 410:
      return 'NOT_FOUND';
    case 408:
      return 'TIMEOUT';
    case 409:
    case 412:
      return 'CONFLICT';
    case 429:
      return 'RATE_LIMITED';
    default:
      if (status >= 500) return 'UNAVAILABLE';
      return status >= 400 ? 'INVALID_REQUEST' : 'MALFORMED_RESPONSE';
  }
}

/** A 4xx answer is the vendor's word that it did nothing, save 408, which a gateway may send for a call under way. */
export function effectOfStatus(status: number, effect: CallEffect): 'no' | 'unknown' {
  if (effect === 'read') return 'no';
  return status >= 400 && status < 500 && status !== 408 ? 'no' : 'unknown';
}

/**
 * Retry-After in milliseconds (RFC 9110, 10.2.3): seconds, or a date, which is read against the answer's own Date
 * header, so that no clock of ours is compared with the vendor's.
 */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after')?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Math.min(Number(value) * 1000, retryAfterMsMax);
  // An HTTP date has a name of a month; Date.parse takes much else for a date.
  const until = /[A-Za-z]{3}/.test(value) ? Date.parse(value) : Number.NaN;
  const now = Date.parse(headers.get('date') ?? '');
  if (Number.isNaN(until) || Number.isNaN(now)) return undefined;
  return Math.min(Math.max(until - now, 0), retryAfterMsMax);
}

/** Failures before the first byte was sent: the vendor can't have acted. */
const neverReached = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);

/** Network errors keep their system code some levels down; an AggregateError holds one for each address tried. */
function systemCodesOf(error: unknown, depth = 0): string[] {
  if (!(error instanceof Error) || depth > 4) return [];
  const code = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner = error instanceof AggregateError ? error.errors : [];
  return [...code, ...inner.flatMap((e) => systemCodesOf(e, depth + 1)), ...systemCodesOf(error.cause, depth + 1)];
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** What a failed `fetch` means. */
export function failureOfTransport(error: unknown, effect: CallEffect): ConnectorError {
  const write = effect === 'write' ? 'unknown' : 'no';
  if (isAbort(error)) return new ConnectorError('TIMEOUT', { tookEffect: write });
  const codes = systemCodesOf(error);
  const reached = codes.length === 0 || codes.some((code) => !neverReached.has(code));
  return new ConnectorError('UNAVAILABLE', {
    tookEffect: reached ? write : 'no',
    ...(codes[0] === undefined ? {} : { detail: codes[0] }),
  });
}

/** An answer that can't be read. The call itself may well have been carried out. */
export function unreadable(effect: CallEffect, detail: string, httpStatus?: number): ConnectorError {
  return new ConnectorError('MALFORMED_RESPONSE', {
    tookEffect: effect === 'write' ? 'unknown' : 'no',
    detail,
    ...(httpStatus === undefined ? {} : { httpStatus }),
  });
}
