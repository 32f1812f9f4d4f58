import { deferred, untilAborted, type Deferred } from '../kit/flow.ts';
import type { Clock, Timer } from '../kit/time.ts';
import { spread } from './rendezvous.ts';

/**
 * Looks of one instant that begin together; the rest follow after whatever else has arrived. As many as a delegate
 * asks ServiceNow about in one request.
 */
const LOOKS_AT_ONCE = 100;

/** Everything on the monotonic clock. */
export interface LookTiming {
  readonly connector: string;
  readonly intervalMs: number;
  /** No two looks of one approval begin closer together. */
  readonly minIntervalMs: number;
  /** When the last look was due: its tick, or its begin if that was at once. */
  readonly dueAt: number;
  readonly endedAt: number;
}

/**
 * When the next look is due: at the connector's first tick that is at least half an interval away.
 *
 * Ticks stand an interval apart from a phase that only the connector's name decides, so its approvals look together,
 * whenever they began and however long a look took, and connectors are spread over the interval. An interval that
 * is a multiple of another has its ticks among those of the other. Half an interval, because less would ask a slow
 * instance again at once, and more would skip a tick after every look that took a while.
 *
 * On the monotonic clock: ticks of the wall clock would outlast a restart, where all look at once anyway, but a clock
 * that is set would tear a connector's approvals apart.
 */
export function nextTick({ connector, intervalMs, minIntervalMs, dueAt, endedAt }: LookTiming): number {
  const notBefore = Math.max(endedAt + intervalMs / 2, dueAt + minIntervalMs);
  const phaseMs = spread(connector) % intervalMs;
  return phaseMs + Math.ceil((notBefore - phaseMs) / intervalMs) * intervalMs;
}

interface Tick {
  timer: Timer;
  readonly waiting: Set<Deferred<void>>;
}

/** Wakes all who wait for one instant, with one timer. Each wait ends its part of it. */
export class LookTicks {
  readonly #clock: Clock;
  readonly #ticks = new Map<number, Tick>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves at this instant of the monotonic clock. Rejects with the signal's reason as soon as that aborts. */
  async until(instant: number, signal: AbortSignal): Promise<void> {
    const tick = this.#tickAt(instant);
    const turn = deferred<void>();
    tick.waiting.add(turn);
    try {
      await untilAborted(turn.promise, signal);
    } finally {
      tick.waiting.delete(turn);
      if (tick.waiting.size === 0) this.#forget(instant, tick);
    }
  }

  #tickAt(instant: number): Tick {
    const known = this.#ticks.get(instant);
    if (known !== undefined) return known;
    // Rounded up: a timer of Node's cuts the fraction off and would fire before the instant.
    const afterMs = Math.ceil(instant - this.#clock.monotonic());
    const tick: Tick = {
      timer: this.#clock.after(afterMs, () => this.#release(instant, tick)),
      waiting: new Set(),
    };
    this.#ticks.set(instant, tick);
    return tick;
  }

  #release(instant: number, tick: Tick): void {
    const turns = [...tick.waiting].slice(0, LOOKS_AT_ONCE);
    for (const turn of turns) {
      tick.waiting.delete(turn);
      turn.resolve();
    }
    if (tick.waiting.size === 0) this.#forget(instant, tick);
    else tick.timer = this.#clock.after(0, () => this.#release(instant, tick));
  }

  #forget(instant: number, tick: Tick): void {
    tick.timer.cancel();
    if (this.#ticks.get(instant) === tick) this.#ticks.delete(instant);
  }
}
