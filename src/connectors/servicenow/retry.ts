import { DelegateError } from '../../kit/errors.ts';
import { fullJitterMs, sleep, type Clock } from '../../kit/time.ts';

/** Attempts at one read, the first included. */
const MAX_ATTEMPTS = 4;
const BASE_MS = 500;
const CAP_MS = 15_000;
/** What is left of the deadline after a wait must be worth another attempt. */
const LEAST_ATTEMPT_MS = 1_000;

export interface RetryContext {
  clock: Clock;
  random: () => number;
  signal: AbortSignal;
  /** Monotonic milliseconds. */
  deadline: number;
  /** Told before each wait. */
  onWait?: (error: DelegateError, waitMs: number) => void;
}

/**
 * Repeats a read while its failure may pass: full jitter between attempts, `details.retryAfterMs` as the least
 * wait, and never past the deadline. The last failure is what the caller gets.
 */
export async function withRetries<T>(attempt: () => Promise<T>, context: RetryContext): Promise<T> {
  const { clock, random, signal, deadline } = context;
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof DelegateError) || !thrown.retryable || failures + 1 >= MAX_ATTEMPTS)
        throw thrown;
      const asked = thrown.details?.['retryAfterMs'];
      const waitMs =
        (typeof asked === 'number' ? asked : 0) +
        fullJitterMs(failures, { baseMs: BASE_MS, capMs: CAP_MS }, random);
      if (clock.monotonic() + waitMs + LEAST_ATTEMPT_MS > deadline) throw thrown;
      context.onWait?.(thrown, waitMs);
      await sleep(clock, waitMs, signal);
    }
  }
}
