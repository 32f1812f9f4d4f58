import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { LoopDelayTimes } from './status.ts';

/** How often the histogram looks. It counts the time between two looks, so that this much of it is no delay. */
const RESOLUTION_MS = 20;
const NANOSECONDS_PER_MS = 1_000_000;
/** Below so many looks the worst of them is the 99th of 100. */
const LOOKS_FOR_P99 = 100;
/** Long enough that one long pause of the machine falls into one window. */
const WINDOW_MS = 5_000;
/** A probe waits a second or two for its answer; a loop that mostly keeps it waiting for longer does no useful work. */
const BLOCKED_FROM_MS = 1_000;
/** Windows in a row, 30 s: a burst of work, or a machine that slept, is over by then. */
export const BLOCKED_WINDOWS = 6;

/** How late the event loop was since somebody last asked. For one who asks: an answer takes the measure away. */
export class LoopDelayMeter implements Disposable {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #since = performance.now();

  begin(): void {
    this.#since = performance.now();
    this.#histogram.enable();
  }

  take(): LoopDelayTimes {
    const times = this.read();
    this.#histogram.reset();
    this.#since = performance.now();
    return times;
  }

  read(): LoopDelayTimes {
    const { count, max } = this.#histogram;
    const elapsedMs = performance.now() - this.#since;
    // The first look after a reset only takes the time: of a loop that is blocked from one answer to the next, the
    // histogram knows nothing. What it has not counted is one wait more.
    const countedMs = count === 0 ? 0 : (this.#histogram.mean * count) / NANOSECONDS_PER_MS;
    const maxMs = Math.max(elapsedMs - countedMs, count === 0 ? 0 : max / NANOSECONDS_PER_MS);
    const p99Ms = count < LOOKS_FOR_P99 ? maxMs : this.#histogram.percentile(99) / NANOSECONDS_PER_MS;
    return {
      meanMs: delayOf(elapsedMs / (count + 1)),
      p99Ms: delayOf(p99Ms),
      maxMs: delayOf(maxMs),
    };
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}

/**
 * How late the event loop is, in windows of its own: whoever looks, and however often, takes nothing from the others.
 *
 * It is blocked when its mean delay was above `BLOCKED_FROM_MS` in each of the last windows. The mean counts each turn
 * once, so that it is that high only if next to no turn is short.
 */
export class LoopDelay implements Disposable {
  readonly #meter = new LoopDelayMeter();
  readonly #windowMs: number;
  readonly #blockedFromMs: number;
  #timer: NodeJS.Timeout | undefined;
  #last: LoopDelayTimes | undefined;
  #blockedWindows = 0;

  /** @param limits of a test, which has no 30 s */
  constructor(limits: { readonly windowMs?: number; readonly blockedFromMs?: number } = {}) {
    this.#windowMs = limits.windowMs ?? WINDOW_MS;
    this.#blockedFromMs = limits.blockedFromMs ?? BLOCKED_FROM_MS;
  }

  begin(): void {
    this.#meter.begin();
    this.#timer ??= setInterval(() => this.#endWindow(), this.#windowMs).unref();
  }

  /** Of the last whole window; of the first one as far as it has come. */
  get times(): LoopDelayTimes {
    return this.#last ?? this.#meter.read();
  }

  get isBlocked(): boolean {
    return this.#blockedWindows >= BLOCKED_WINDOWS;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#meter[Symbol.dispose]();
  }

  #endWindow(): void {
    this.#last = this.#meter.take();
    this.#blockedWindows = this.#last.meanMs >= this.#blockedFromMs ? this.#blockedWindows + 1 : 0;
  }
}

/** Of a time between two looks, to the microsecond. */
function delayOf(intervalMs: number): number {
  return Math.round(Math.max(0, intervalMs - RESOLUTION_MS) * 1_000) / 1_000;
}
