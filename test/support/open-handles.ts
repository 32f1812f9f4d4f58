import { turn, until } from './until.ts';

const WATCHED = ['TCPSocketWrap', 'TCPServerWrap', 'Timeout'] as const;

/**
 * Fails a test that leaves a socket, a server or a timer behind. To be called after every other hook of the file,
 * because hooks run in the order in which they were registered.
 */
export function leavesNothingOpen(): void {
  let before: Record<string, number> = {};
  // After an await, when mocha has set the hook's own timer: the other hook has one too.
  beforeEach(async () => {
    await turn();
    before = countOpen();
  });
  afterEach(async () => {
    const left = (): string[] => {
      const now = countOpen();
      return WATCHED.filter((kind) => (now[kind] ?? 0) > (before[kind] ?? 0));
    };
    try {
      await until('everything is closed', () => left().length === 0, 1_000);
    } catch {
      throw new Error(`left open: ${left().join(', ')}`);
    }
  });
}

/** Handles that keep the process alive, by kind; timers that do not are left out. */
function countOpen(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
