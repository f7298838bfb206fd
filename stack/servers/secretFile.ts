/** Secrets that the stack makes for itself: made once, kept in a file that only its owner reads. */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/**
 * The secret in the file, made now if there is none. The file appears with its whole content or not at all, and never
 * replaces one that is there: two starts at once read the same secret.
 */
export function secretFile(path: string, encoding: 'base64' | 'base64url', bytes: number): string {
  const existing = read(path);
  if (existing !== undefined) return existing;
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, randomBytes(bytes).toString(encoding), { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, 'utf8');
}

function read(path: string): string | undefined {
  try {
    const content = readFileSync(path, 'utf8');
    // mongod refuses a key file that others may read; a copied folder may have lost the mode.
    chmodSync(path, 0o600);
    return content === '' ? undefined : content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
