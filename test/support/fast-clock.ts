import { systemClock, type Clock } from '../../src/kit/time.ts';

/** A time that runs `factor` times as fast as the world's. Processes that share one read the same wall clock. */
export interface TimeLapse {
  readonly factor: number;
  /** The moment, milliseconds since the epoch, at which both times are the same. */
  readonly epochMs: number;
}

/**
 * Every duration keeps its meaning and takes a `factor`-th of it: a lease of 30 s is one of 30 s to whoever reads
 * this clock, and 750 ms at a factor of 40. The grain grows too: a real timer is late by a millisecond or more, so
 * at 40 one that fires 40 ms late is on time.
 */
export function fastClock({ factor, epochMs }: TimeLapse): Clock {
  return {
    now: () => epochMs + (systemClock.now() - epochMs) * factor,
    monotonic: () => systemClock.monotonic() * factor,
    // Rounded up: a timer of Node's that is cut to whole milliseconds may fire before its time.
    after: (ms, callback) => systemClock.after(Math.ceil(ms / factor), callback),
  };
}
