/** Reads a message in Internet Message Format (RFC 5322) with MIME parts (RFC 2045 to 2047), as far as Gmail shows it. */
import type { JsonRecord, JsonValue } from '../standIn.ts';

export interface Header {
  readonly name: string;
  readonly value: string;
}

export interface Part {
  readonly mimeType: string;
  readonly headers: readonly Header[];
  /** Decoded content of a leaf, as text. */
  readonly text: string;
  readonly parts: readonly Part[];
}

/** Thrown for what is no message. */
export class MalformedMime extends Error {
  override readonly name = 'MalformedMime';
}

export const headerOf = (headers: readonly Header[], name: string): string | undefined =>
  headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value;

/** RFC 2047 encoded words, in UTF-8, which is all that our side writes. */
function decodeWords(value: string): string {
  return value
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_all, encoding: string, text: string) =>
      encoding.toLowerCase() === 'b'
        ? Buffer.from(text, 'base64').toString('utf8')
        : decodeQuotedPrintable(text.replaceAll('_', ' ')),
    );
}

function decodeQuotedPrintable(text: string): string {
  const bytes: number[] = [];
  const joined = text.replace(/=\r?\n/g, '');
  for (let i = 0; i < joined.length; i += 1) {
    const hex = joined[i] === '=' ? /^[0-9A-F]{2}/i.exec(joined.slice(i + 1)) : null;
    if (hex === null) bytes.push(...Buffer.from(joined[i]!));
    else {
      bytes.push(Number.parseInt(hex[0], 16));
      i += 2;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

function splitHead(text: string): { headers: Header[]; body: string } {
  const end = /\r?\n\r?\n/.exec(text);
  const head = end === null ? text : text.slice(0, end.index);
  const body = end === null ? '' : text.slice(end.index + end[0].length);
  const lines = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
  const headers = lines
    .filter((line) => line !== '')
    .map((line) => {
      const match = /^([!-9;-~]+):\s?(.*)$/.exec(line);
      if (match === null) throw new MalformedMime('a header line has no name');
      return { name: match[1]!, value: decodeWords(match[2]!) };
    });
  return { headers, body };
}

/** Throws MalformedMime. */
export function parseMime(text: string): Part {
  const { headers, body } = splitHead(text);
  const contentType = headerOf(headers, 'content-type') ?? 'text/plain';
  const mimeType = contentType.split(';')[0]!.trim().toLowerCase();
  if (mimeType.startsWith('multipart/')) {
    const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
    if (boundary === undefined) throw new MalformedMime('multipart without boundary');
    const sections = body.split(`--${boundary}`);
    if (sections.length < 3) throw new MalformedMime('multipart without parts');
    return {
      mimeType,
      headers,
      text: '',
      parts: sections.slice(1, -1).map((section) => parseMime(section.replace(/^\r?\n/, '').replace(/\r?\n$/, ''))),
    };
  }
  const encoding = headerOf(headers, 'content-transfer-encoding')?.toLowerCase() ?? '7bit';
  const decoded =
    encoding === 'base64'
      ? Buffer.from(body, 'base64').toString('utf8')
      : encoding === 'quoted-printable'
        ? decodeQuotedPrintable(body)
        : body;
  return { mimeType, headers, text: decoded, parts: [] };
}

/** The addresses in a header, lower case. */
export function addressesIn(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return value
    .split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/)
    .map((entry) => (/<([^>]*)>/.exec(entry)?.[1] ?? entry).trim().toLowerCase())
    .filter((address) => address !== '');
}

export const textOf = (part: Part): string =>
  part.parts.length === 0 ? (part.mimeType === 'text/plain' ? part.text : '') : part.parts.map(textOf).join('');

/** users.messages#MessagePart */
export function payloadOf(part: Part, partId = ''): JsonRecord {
  const data = Buffer.from(part.text, 'utf8');
  return {
    partId,
    mimeType: part.mimeType,
    filename: '',
    headers: part.headers.map((header) => ({ ...header })) as JsonValue,
    body: part.parts.length === 0 ? { size: data.length, data: data.toString('base64url') } : { size: 0 },
    ...(part.parts.length === 0
      ? {}
      : { parts: part.parts.map((inner, i) => payloadOf(inner, partId === '' ? `${i}` : `${partId}.${i}`)) }),
  };
}
