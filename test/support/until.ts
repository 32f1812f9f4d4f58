import { deferred } from '../../src/kit/flow.ts';

/** Real time that a test waits for something that should be under way. Reached only by a test that fails. */
const TEST_DEADLINE_MS = 5_000;

/** Waits, one turn of the event loop at a time, until the condition holds; rejects with `what` if it never does. */
export async function until(
  what: string,
  condition: () => boolean,
  withinMs = TEST_DEADLINE_MS,
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`in vain waited ${withinMs} ms until ${what}`);
    await turn();
  }
}

/** The work's own end, or a rejection that names it. The timer ends with it. */
export async function within<T>(what: string, work: Promise<T>, ms = TEST_DEADLINE_MS): Promise<T> {
  const late = deferred<never>();
  const timer = setTimeout(() => late.reject(new Error(`in vain waited ${ms} ms for ${what}`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets everything that is ready run once, sockets included. */
export async function turn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}
