import { readdirSync, readlinkSync } from 'node:fs';
import { turn, until } from './until.ts';

const WATCHED = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap', 'Timeout']);
/** What a process has open, as Linux shows it; elsewhere there is no such folder, and descriptors go unwatched. */
const DESCRIPTORS = '/proc/self/fd';
const CLOSED_WITHIN_MS = 1_000;

/**
 * Fails a test that leaves a socket, a server, a child, a timer or a file behind. To be called after every other
 * hook of the suite, because hooks run in the order in which they were registered.
 */
export function leavesNothingOpen(): void {
  let before = new Map<string, number>();
  // After an await, when mocha has set the hook's own timer: the other hook has one too.
  beforeEach(async () => {
    await turn();
    before = countOpen();
  });
  afterEach(async () => {
    const left = (): string[] =>
      [...countOpen()].flatMap(([what, count]) => {
        const more = count - (before.get(what) ?? 0);
        return more > 0 ? [`${more} × ${what}`] : [];
      });
    try {
      await until('everything is closed', () => left().length === 0, CLOSED_WITHIN_MS);
    } catch {
      throw new Error(`left open: ${left().join(', ')}`);
    }
  });
}

/**
 * Handles that keep the process alive, timers that do not left out, and open descriptors: a file by its path,
 * `socket` and `pipe` without their numbers. Requests to the file system are no handles, and end by themselves.
 */
function countOpen(): Map<string, number> {
  const counts = new Map<string, number>();
  const handles = process.getActiveResourcesInfo().filter((kind) => WATCHED.has(kind));
  for (const what of [...handles, ...descriptors()]) counts.set(what, (counts.get(what) ?? 0) + 1);
  return counts;
}

function descriptors(): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync(DESCRIPTORS).flatMap((descriptor) => {
    const target = targetOf(descriptor);
    return target === undefined ? [] : [`open ${target.replace(/:\[\d+\]$/, '')}`];
  });
}

/** Undefined for the one through which the folder itself was read. */
function targetOf(descriptor: string): string | undefined {
  try {
    return readlinkSync(`${DESCRIPTORS}/${descriptor}`);
  } catch {
    return undefined;
  }
}
