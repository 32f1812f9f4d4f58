import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Of a file's mode: who beside the owner may write it; and the bit by which only owners remove from a folder. */
const WRITE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
const ROOT = 0;

/** As many as Linux follows. */
const MAX_LINKS = 40;

/** Says why not, in words that follow "…is not used:". */
export type Refuse = (why: string) => Error;

/**
 * Goes the way to a file as the system does, through folders and links, and throws for the first place where somebody
 * else could lead it elsewhere. To look at the file alone would not do: who may write a folder on the way puts another
 * in its place between the look and the use.
 *
 * @param path absolute
 */
export async function assertTrustedWay(path: string, refuse: Refuse): Promise<void> {
  const rest = namesIn(path);
  let at: string = sep;
  let links = 0;
  assertEntry(await lstat(at), at, refuse);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    // No link is in what was passed, so `..` leads where it says.
    const next = join(at, name);
    const found = await lstat(next);
    assertEntry(found, next, refuse);
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) throw refuse('links lead to it in a circle');
    const target = await readlink(next);
    if (target.startsWith(sep)) at = sep;
    rest.unshift(...namesIn(target));
  }
}

/** What is at the end of the way: a file that nobody else may write. */
export function assertTrustedFile(found: Stats, what: string, refuse: Refuse): void {
  if (!found.isFile()) throw refuse(`${what} is not a file`);
  if (!isTrusted(found)) {
    throw refuse(`${what} belongs to user ${found.uid}, and not to the delegate's user or root`);
  }
  if ((found.mode & WRITE_BY_OTHERS) !== 0) {
    throw refuse(`${what} may be written by its group or by everybody`);
  }
}

/** In a sticky folder, as Kubernetes mounts them, everybody adds names, and only its owner takes one away. */
function assertEntry(found: Stats, path: string, refuse: Refuse): void {
  if (!found.isDirectory() && !found.isSymbolicLink()) return;
  const what = found.isDirectory() ? 'folder' : 'link';
  if (!isTrusted(found)) {
    throw refuse(`the ${what} ${path} belongs to user ${found.uid}, and not to the delegate's user or root`);
  }
  // The mode of a link means nothing.
  if (!found.isDirectory() || (found.mode & WRITE_BY_OTHERS) === 0 || (found.mode & STICKY) !== 0) return;
  throw refuse(`the folder ${path} may be written by its group or by everybody`);
}

function isTrusted({ uid }: Stats): boolean {
  return uid === ROOT || uid === process.getuid?.();
}

function namesIn(path: string): string[] {
  return path.split(sep).filter((name) => name !== '');
}
