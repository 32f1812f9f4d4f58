import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorsOf, systemCode, type DelegateError, type ErrorKinds } from './errors.ts';

export const FILE_ERRORS = {
  'file-not-kept': {
    category: 'internal',
    means: 'A file was written, and what was read back is not what was written.',
    remedy: 'Look for another process that writes this file, and for what the system log says of the disk.',
  },
} as const satisfies ErrorKinds;

const fileError = errorsOf(FILE_ERRORS);

const UNFINISHED_SUFFIX = '.tmp';

/** The calls that a write takes. A parameter, because no test can fill a disk or pull its plug otherwise. */
export interface FileCalls {
  mkdir(path: string, options: { recursive: true; mode: number }): Promise<unknown>;
  open(path: string, flags: string, mode?: number): Promise<FileHandle>;
  rename(from: string, to: string): Promise<void>;
  readFile(path: string): Promise<Buffer>;
}

/** The real ones. */
export const fileCalls: FileCalls = { mkdir, open, rename, readFile };

/** Permissions of what is made. The mode of a file or folder that is there already is not looked at. */
export interface DurableModes {
  readonly mode: number;
  readonly folderMode: number;
}

/**
 * Replaces a whole file, or makes it, and its folder too: whenever the process, the disk or the power ends, there is
 * the old content or the new. Resolves when the new one would survive a power cut and has been read back.
 *
 * One writer at a time; readers need no care. Rejects with the system's error, or with `file-not-kept`; after a
 * rejection the content may be either.
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  modes: DurableModes,
  calls: FileCalls = fileCalls,
): Promise<void> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const temporary = `${path}.${randomUUID()}${UNFINISHED_SUFFIX}`;
  await calls.mkdir(dirname(path), { recursive: true, mode: modes.folderMode });
  try {
    {
      // Made by us or not at all: a name that is taken could be a link, or open to others.
      await using handle = await calls.open(temporary, 'wx', modes.mode);
      await handle.writeFile(bytes);
      await handle.sync();
    }
    await calls.rename(temporary, path);
  } catch (thrown) {
    // As far as that is possible: what stood in the way of writing is what is told.
    await rm(temporary, { force: true }).catch(() => {});
    throw thrown;
  }
  await syncFolder(dirname(path), calls);
  if (!(await calls.readFile(path)).equals(bytes)) throw notKept(path);
}

/** Removes what writes of this file left behind when their process was killed. Not beside a write. */
export async function removeUnfinished(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  const names = await namesIn(dirname(path));
  const unfinished = names.filter((name) => name.startsWith(prefix) && name.endsWith(UNFINISHED_SUFFIX));
  await Promise.all(unfinished.map((name) => rm(join(dirname(path), name), { force: true })));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return [];
    throw thrown;
  }
}

/** Makes what was created, renamed and removed in a folder survive a power cut. */
export async function syncFolder(path: string, calls: Pick<FileCalls, 'open'> = fileCalls): Promise<void> {
  await using folder = await calls.open(path, 'r');
  try {
    await folder.sync();
  } catch (thrown) {
    // fsync(2): "does not support synchronization". Some network file systems say so of folders; there the server
    // decides, and to refuse the folder would help nobody.
    if (systemCode(thrown) !== 'EINVAL') throw thrown;
  }
}

function notKept(path: string): DelegateError {
  return fileError('file-not-kept', `The file ${path} was not kept as written.`, { details: { path } });
}
