import { forgetOldest } from '../kit/bounds.ts';
import { DelegateError } from '../kit/errors.ts';
import { fullJitterMs, type Clock } from '../kit/time.ts';

/** A server that refuses is asked again after this, and after twice as long each time that it refuses again. */
const REFUSED_PAUSE_MS = { baseMs: 30_000, capMs: 300_000 };
const THROTTLED_PAUSE_MS = { baseMs: 1_000, capMs: 60_000 };
const UNAVAILABLE_PAUSE_MS = { baseMs: 500, capMs: 30_000 };

/** A server that asks for a longer wait is asked again after this: it may have been a mistake, or somebody's joke. */
const MAX_ASKED_PAUSE_MS = 900_000;

export interface FailureMemoryOptions {
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** Most failures remembered; the oldest goes first. */
  capacity: number;
}

interface Memory {
  readonly failure: DelegateError;
  /** How often in a row it has failed; what it was may differ. */
  readonly times: number;
  /** On the monotonic clock. */
  readonly until: number;
}

/**
 * What token servers have refused of late, so that they are not asked the same again at once: a wrong secret is
 * told to a hundred tasks and sent once, and a server in trouble gets air. A secret that the customer corrects has
 * another key, and nothing is remembered of that.
 */
export interface FailureMemory {
  /** What to tell instead of asking; undefined when the server may be asked. */
  standing(key: string): DelegateError | undefined;
  /** The failure as its readers should get it: with how long to wait, if waiting helps. */
  remember(key: string, thrown: unknown): unknown;
  forget(key: string): void;
}

export function failureMemory(options: FailureMemoryOptions): FailureMemory {
  const { clock, random, capacity } = options;
  const memories = new Map<string, Memory>();
  return {
    standing(key) {
      const memory = memories.get(key);
      const leftMs = memory === undefined ? 0 : memory.until - clock.monotonic();
      return memory === undefined || leftMs <= 0 ? undefined : standingFor(memory.failure, leftMs);
    },
    remember(key, thrown) {
      // A bug, or an end of ours, says nothing about the server.
      if (!(thrown instanceof DelegateError) || thrown.category === 'cancelled') return thrown;
      const times = memories.get(key)?.times ?? 0;
      const pauseMs = pauseAfter(thrown, times, random);
      memories.delete(key);
      memories.set(key, { failure: thrown, times: times + 1, until: clock.monotonic() + pauseMs });
      forgetOldest(memories, capacity);
      return thrown.retryable && pauseMs > 0 ? standingFor(thrown, pauseMs) : thrown;
    },
    forget: (key) => void memories.delete(key),
  };
}

/** @param times how often it has failed before, in a row */
function pauseAfter(failure: DelegateError, times: number, random: () => number): number {
  if (!failure.retryable) return Math.min(REFUSED_PAUSE_MS.capMs, REFUSED_PAUSE_MS.baseMs * 2 ** times);
  const askedMs = failure.details?.['retryAfterMs'];
  if (typeof askedMs === 'number' && askedMs > 0) return Math.min(askedMs, MAX_ASKED_PAUSE_MS);
  const limits = failure.category === 'throttled' ? THROTTLED_PAUSE_MS : UNAVAILABLE_PAUSE_MS;
  return fullJitterMs(times, limits, random);
}

/** Told again. Two names: the first asks to try again then, the second only tells when another answer can come. */
function standingFor(failure: DelegateError, leftMs: number): DelegateError {
  return failure.retold({
    details: { [failure.retryable ? 'retryAfterMs' : 'notAskedForMs']: Math.ceil(leftMs) },
  });
}
