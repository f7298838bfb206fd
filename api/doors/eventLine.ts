/** A line of NDJSON as what the operation takes. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Line } from '../http/lines.ts';
import type { Incoming } from '../operations/incoming.ts';

export type EndedLine = Exclude<Line, { kind: 'unfinished' }>;

/** `lineBytesMax`: what a line that is too long is longer than. */
export const incomingLine = (line: EndedLine, lineBytesMax: number): Incoming => {
  if (line.kind === 'too-long') {
    const message = `the line is longer than ${lineBytesMax} bytes; cut the content into parts or events`;
    return { kind: 'unreadable', refusal: { code: 'EVENT_TOO_LARGE', message }, sha256: line.sha256 };
  }
  const { bytes } = line;
  // Otherwise it would be recorded as something that nobody sent.
  if (!isUtf8(bytes)) return unreadable(bytes, 'the line is not UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's own message quotes the line.
    return unreadable(bytes, 'the line is not JSON');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { kind: 'value', value };
  return unreadable(bytes, 'the line is not a JSON object');
};

const unreadable = (bytes: Buffer, message: string): Incoming => ({
  kind: 'unreadable',
  refusal: { code: 'BAD_INPUT', message },
  sha256: createHash('sha256').update(bytes).digest('hex'),
});
