/**
 * Standard base64 (RFC 4648 section 4), canonical only. Buffer.from skips what it can't read, so one value would have many
 * spellings, and a proof or note could be altered without changing what it decodes to.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
