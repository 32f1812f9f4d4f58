import { randomUUID } from 'node:crypto';
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { systemCode } from '../kit/errors.ts';
import { sleep, type Clock } from '../kit/time.ts';

const RETRY_MS = 20;
/** Many times what replacing a small file takes, on a slow disk too. */
const STALE_MS = 10_000;
/** Longer than a lock takes to become stale, so that a holder who was killed delays, and does not fail, the next. */
const GIVE_UP_MS = 12_000;

/**
 * Runs the work while no other process does so under the same lock file. For work of milliseconds: a lock that is
 * older than 10 s belongs to a process that was killed, and is taken over.
 *
 * Rejects as the work does, with the system's error if no file can be made, or with the signal's reason.
 */
export async function underLock<T>(
  path: string,
  { clock, signal }: { clock: Clock; signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const token = randomUUID();
  const giveUpAt = clock.monotonic() + GIVE_UP_MS;
  while (!(await take(path, token))) {
    if (await isStale(path, clock.now())) {
      await takeAway(path, clock.now());
      continue;
    }
    if (clock.monotonic() > giveUpAt) throw new Error(`the lock ${path} is held by another process`);
    await sleep(clock, RETRY_MS, signal);
  }
  try {
    return await work();
  } finally {
    // Only our own: who was slower than a lock lasts may have been taken for dead.
    if ((await textOf(path)) === token) await rm(path, { force: true });
  }
}

async function take(path: string, token: string): Promise<boolean> {
  const file = await open(path, 'wx', 0o600).catch((thrown: unknown) => {
    if (systemCode(thrown) === 'EEXIST') return undefined;
    throw thrown;
  });
  if (file === undefined) return false;
  try {
    await file.writeFile(token);
    return true;
  } catch (thrown) {
    // A full disk makes the file and takes no text. Nobody would know it for his own, and all would wait for its end.
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await file.close();
  }
}

async function isStale(path: string, now: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    return Math.abs(now - mtimeMs) > STALE_MS;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** Moved aside and looked at once more: under its own name it may have become the lock of somebody who lives. */
async function takeAway(path: string, now: number): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return;
    throw thrown;
  }
  try {
    // By `link`, because a rename would replace the lock of whoever was quicker.
    if (!(await isStale(aside, now))) await link(aside, path);
  } catch (thrown) {
    if (systemCode(thrown) !== 'EEXIST') throw thrown;
  } finally {
    await rm(aside, { force: true });
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
