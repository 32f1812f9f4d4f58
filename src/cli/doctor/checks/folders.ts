import { open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { reasonOf, systemCode } from '../../../kit/errors.ts';
import type { Clock } from '../../../kit/time.ts';

/** The folder itself, or the first above it that is there. */
export async function nearestFolder(path: string): Promise<string> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      if ((await stat(folder)).isDirectory()) return folder;
    } catch (thrown) {
      if (!['ENOENT', 'ENOTDIR'].includes(systemCode(thrown) ?? reasonOf(thrown))) throw thrown;
    }
    if (dirname(folder) === folder) return folder;
  }
}

/** Milliseconds that a sync of the folder takes; undefined where this user or the file system does none. */
export async function syncedIn(folder: string, clock: Clock): Promise<number | undefined> {
  try {
    await using handle = await open(folder, 'r');
    const startedMs = clock.monotonic();
    await handle.sync();
    return Math.round(clock.monotonic() - startedMs);
  } catch {
    return undefined;
  }
}
