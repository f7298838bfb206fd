/**
 * A lock file between processes, so that two starts at once do not fetch the same thing twice. It saves work and
 * nothing else: what is fetched is put in place by one rename, so correctness never rests on the lock, and a lock taken
 * over from an owner that still lives costs a second download, no more.
 */
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { identityOf, type ProcessIdentity } from './processIdentity.ts';

const heartbeatMs = 2000;
/** A live owner touches its lock every `heartbeatMs`; one that has not for this long is gone or hangs. */
const staleAfterMs = 60_000;
const pollMs = 250;
const tellEveryMs = 5000;

/**
 * Runs `work` while holding the lock. While process `pid` holds it, `onWait` is called at once and then every few
 * seconds.
 */
export async function withLock<T>(
  path: string,
  onWait: (pid: number, waitedMs: number) => void,
  work: () => Promise<T>,
): Promise<T> {
  const own = `${path}.${process.pid}.${randomUUID()}`;
  const identity = identityOf(process.pid);
  await writeFile(own, JSON.stringify(identity));
  try {
    const startedMs = performance.now();
    let tellAtMs = startedMs;
    // A hard link either appears with its whole content or fails: no reader ever sees a half-written lock.
    while (!(await tryLink(own, path))) {
      const owner = await readOwner(path);
      if (owner === undefined) continue;
      if (owner.stale) {
        await rm(path, { force: true });
        continue;
      }
      const nowMs = performance.now();
      if (nowMs >= tellAtMs) {
        onWait(owner.pid, nowMs - startedMs);
        tellAtMs = nowMs + tellEveryMs;
      }
      await delay(pollMs);
    }
    const heartbeat = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, heartbeatMs);
    heartbeat.unref();
    try {
      return await work();
    } finally {
      clearInterval(heartbeat);
      if ((await readFile(path, 'utf8').catch(() => '')) === JSON.stringify(identity)) await rm(path, { force: true });
    }
  } finally {
    await rm(own, { force: true });
  }
}

async function tryLink(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readOwner(path: string): Promise<{ pid: number; stale: boolean } | undefined> {
  try {
    const { mtimeMs } = await stat(path);
    const owner = JSON.parse(await readFile(path, 'utf8')) as ProcessIdentity;
    const lives = identityOf(owner.pid)?.started === owner.started;
    return { pid: owner.pid, stale: !lives || Date.now() - mtimeMs > staleAfterMs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) return { pid: 0, stale: true };
    throw error;
  }
}
