import { abortReason } from './flow.ts';

/** Time as a parameter: lease, back-off, caches and schedulers take a `Clock`, so tests can turn its hands. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. For people and for protocols; it may jump. */
  now(): number;
  /** Milliseconds since some start, never going back. For every duration and deadline. */
  monotonic(): number;
  /** Calls back once after `ms` milliseconds. */
  after(ms: number, callback: () => void): Timer;
}

export interface Timer {
  /** Idempotent; after it returns the callback is not called. */
  cancel(): void;
}

/** The longest wait `setTimeout` can hold; a longer one would fire at once. */
const MAX_TIMEOUT_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(0, ms), MAX_TIMEOUT_MS));
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Waits `ms` milliseconds. Rejects with the signal's reason as soon as that aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal));
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(abortReason(signal));
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Whether the work ends within `ms` milliseconds; if not, it goes on. Rejects as the work does. */
export async function endsWithin(clock: Clock, ms: number, work: Promise<void>): Promise<boolean> {
  const late = new AbortController();
  try {
    return await Promise.race([work.then(() => true), sleep(clock, ms, late.signal).then(() => false)]);
  } finally {
    late.abort();
  }
}

/** RFC 3339 in UTC with milliseconds, the one form of a time on the wire. */
export function toTimestamp(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/**
 * Full jitter: a random wait between 0 and an exponentially growing, capped ceiling. Chosen over "equal" or
 * "decorrelated" jitter because it spreads a herd over the whole window.
 *
 * @param attempt how many attempts have failed in a row, from 0
 * @param random a number in [0, 1)
 */
export function fullJitterMs(
  attempt: number,
  limits: { baseMs: number; capMs: number },
  random: () => number,
): number {
  const ceilingMs = Math.min(limits.capMs, limits.baseMs * 2 ** Math.min(attempt, 30));
  return random() * ceilingMs;
}
