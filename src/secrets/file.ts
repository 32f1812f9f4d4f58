import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { fileCalls, writeDurably } from '../kit/durable-file.ts';
import { invalidLocator, type Provider } from './provider.ts';
import { readSecretFile, unreadable, withoutLastLineBreak, type FileWords } from './text-file.ts';

/** Of a file's mode. */
const PERMISSIONS = 0o777;
const ANY_WRITE = 0o222;
/** Until it has those of the file that it replaces. Folders are there. */
const NEW_FILE = { mode: 0o600, folderMode: 0o700 } as const;

const PATH = /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/;

/** One folder that references lead into: how they begin, and the setting that names it. */
export interface SecretFolder {
  readonly scheme: 'file' | 'kubernetes';
  readonly setting: string;
  readonly directory: string;
  /** Files and folders that references must not lead to though they lie in it, whatever links are on the way. */
  readonly closed: readonly string[];
}

/**
 * `file:relative/path` reads a file below one folder. The path is checked as text, and once more after links are
 * resolved: Kubernetes mounts secrets as links inside the folder, and a link that leads out of it is refused.
 * One line break at the end of the file is not part of the secret.
 *
 * Written is only a file that is there, by its own name: what stands behind a link belongs to whoever made the link.
 */
export function fileProvider(directory: string, closed: readonly string[] = []): Provider {
  const folder: SecretFolder = { scheme: 'file', setting: 'DELEGATE_SECRETS_DIR', directory, closed };
  return {
    async read(locator, signal) {
      const path = await resolveInside(folder, locator);
      signal.throwIfAborted();
      return { value: await readSecretFile(path, wordsOf(folder, locator)), place: `file ${path}` };
    },
    async write(locator, value) {
      const path = await resolveInside(folder, locator);
      if (path !== join(await realpath(directory), locator)) {
        throw new Error('a link leads to the file');
      }
      await replaceSecretFile(path, value);
    },
  };
}

export function wordsOf({ scheme, setting }: SecretFolder, locator: string): FileWords {
  return { reference: `${scheme}:${locator}`, where: `in ${setting}` };
}

/** The path behind all links, which is inside of the folder. */
export async function resolveInside(folder: SecretFolder, locator: string): Promise<string> {
  const { scheme, setting, directory, closed } = folder;
  if (isAbsolute(locator) || !PATH.test(locator) || locator.split('/').includes('..')) {
    throw invalidLocator(`${scheme}:…`, `give a plain path relative to ${setting}`);
  }
  const words = wordsOf(folder, locator);
  try {
    const root = await realpath(directory);
    const closedBefore = await placesOf(closed);
    const path = await realpath(join(root, locator));
    if (!isWithin(root, path)) throw invalidLocator(words.reference, `it leads out of ${setting}`);
    // Again, since a mounted Secret may have been swapped meanwhile: the path is then of the old generation or the new.
    const closedAfter = await placesOf(closed);
    if (![...closedBefore, ...closedAfter].some((place) => isWithin(place, path))) return path;
  } catch (thrown) {
    throw unreadable(words, thrown);
  }
  throw invalidLocator(
    words.reference,
    'what it leads to has its own setting, and is no secret of a connector',
  );
}

/** Behind all links; as they are written for those that are not there. */
async function placesOf(paths: readonly string[]): Promise<string[]> {
  return await Promise.all(paths.map(async (path) => await realpath(path).catch(() => resolve(path))));
}

function isWithin(place: string, path: string): boolean {
  return path === place || path.startsWith(place.endsWith(sep) ? place : place + sep);
}

async function replaceSecretFile(path: string, value: string): Promise<void> {
  if (withoutLastLineBreak(value) !== value) throw new Error('the value ends in a line break');
  const old = await lstat(path);
  if (!old.isFile()) throw new Error('it is not a file');
  // To root, and to whoever may write the folder, the mode forbids nothing; to its owner it meant something.
  if ((old.mode & ANY_WRITE) === 0) throw new Error('the file is read-only');
  await writeDurably(path, value, NEW_FILE, {
    ...fileCalls,
    async open(name, flags, newMode) {
      const handle = await fileCalls.open(name, flags, newMode);
      if (flags !== 'wx') return handle;
      try {
        // Whoever could read the old one reads the new one, and nobody else. Before there is anything in it.
        await handle.chown(old.uid, old.gid);
        await handle.chmod(old.mode & PERMISSIONS);
        return handle;
      } catch (thrown) {
        await handle.close();
        throw thrown;
      }
    },
  });
}
