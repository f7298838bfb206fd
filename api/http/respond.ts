/** Answers of the doors that are not GraphQL, and the headers that every answer has. */
import type { ServerResponse } from 'node:http';
import type { ApiError } from '../errors.ts';

/** An API answers data, never pages: nothing may be embedded, sniffed, cached or sent on as a referrer. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Strict-Transport-Security': 'max-age=31536000',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

export const send = (
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void => {
  if (response.headersSent || response.destroyed) return;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.writeHead(status, { ...headers, 'Content-Length': bytes.length });
  response.end(bytes);
};

export const sendJson = (
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void =>
  send(response, status, JSON.stringify(value), { 'Content-Type': 'application/json; charset=utf-8', ...headers });

/** In GraphQL's own form, so that a client reads all errors alike. */
export const sendError = (response: ServerResponse, { status, message, code, retryable }: ApiError): void =>
  sendJson(
    response,
    status,
    { errors: [{ message, extensions: { code, retryable } }] },
    { ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }), ...(retryable && { 'Retry-After': '1' }) },
  );
