import { DelegateError } from '../../kit/errors.ts';
import { fullJitterMs, sleep, type Clock } from '../../kit/time.ts';

const BASE_MS = 500;
const CAP_MS = 15_000;
/** What is left of a deadline after a wait must be worth another attempt. */
const LEAST_ATTEMPT_MS = 1_000;

/** Attempts at one read, the first included, for whatever passes with time. */
const MAX_ATTEMPTS = 4;
/** Of a refusal for want of room: it costs the instance next to nothing, and its pauses grow. The deadline ends it. */
const MAX_THROTTLED_ATTEMPTS = 20;
/** Of what costs the instance a whole transaction each time. */
const MAX_COSTLY_ATTEMPTS: Readonly<Record<string, number>> = {
  'servicenow.server-error': 3,
  'servicenow.transaction-cancelled': 2,
  'servicenow.broken-answer': 2,
};

export interface RetryContext {
  clock: Clock;
  random: () => number;
  signal: AbortSignal;
  /** Monotonic milliseconds. */
  deadline: number;
  /** Told before each wait. */
  onWait: (error: DelegateError, waitMs: number) => void;
  /** Failures that the caller answers by asking for less: they are not repeated here. */
  except?: (error: DelegateError) => boolean;
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
      if (!(thrown instanceof DelegateError) || !thrown.retryable) throw thrown;
      if (failures + 1 >= attemptsFor(thrown) || context.except?.(thrown) === true) throw thrown;
      const asked = thrown.details?.['retryAfterMs'];
      const waitMs =
        (typeof asked === 'number' ? asked : 0) +
        fullJitterMs(failures, { baseMs: BASE_MS, capMs: CAP_MS }, random);
      if (!isWorthWaiting(waitMs, { clock, deadline })) throw thrown;
      context.onWait(thrown, waitMs);
      await sleep(clock, waitMs, signal);
    }
  }
}

/** Whether another attempt may still come to something after a wait of so many milliseconds. */
export function isWorthWaiting(
  waitMs: number,
  { clock, deadline }: Pick<RetryContext, 'clock' | 'deadline'>,
): boolean {
  return clock.monotonic() + waitMs + LEAST_ATTEMPT_MS <= deadline;
}

function attemptsFor({ code, category }: DelegateError): number {
  if (category === 'throttled') return MAX_THROTTLED_ATTEMPTS;
  return Object.hasOwn(MAX_COSTLY_ATTEMPTS, code)
    ? (MAX_COSTLY_ATTEMPTS[code] ?? MAX_ATTEMPTS)
    : MAX_ATTEMPTS;
}
