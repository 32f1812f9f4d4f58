import type { Clock, Timer } from '../../src/kit/time.ts';

interface Alarm {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

/** Turns of the event loop that a frame over loopback and its answer need at most. */
const SETTLE_TURNS = 12;

/** A clock whose hands only the test moves. Timers due at the same moment run in the order they were set. */
export class ManualClock implements Clock {
  readonly #alarms = new Set<Alarm>();
  #wallMs: number;
  #monotonicMs = 0;
  #order = 0;

  /** @param startMs wall time to begin with; real time by default, so that foreign libraries agree on the day */
  constructor(startMs: number = Date.now()) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  after(ms: number, callback: () => void): Timer {
    const alarm = { dueAt: this.#monotonicMs + Math.max(0, ms), order: (this.#order += 1), callback };
    this.#alarms.add(alarm);
    return {
      cancel: () => {
        this.#alarms.delete(alarm);
      },
    };
  }

  /** Timers that are set and not yet due. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves time forward, stopping at every timer on the way, those set on the way included. */
  async advance(ms: number): Promise<void> {
    const target = this.#monotonicMs + ms;
    await this.settle();
    for (let alarm = this.#nextUntil(target); alarm !== undefined; alarm = this.#nextUntil(target)) {
      this.#alarms.delete(alarm);
      this.#moveTo(Math.max(alarm.dueAt, this.#monotonicMs));
      alarm.callback();
      await this.settle();
    }
    this.#moveTo(target);
  }

  /** Time passes and no timer is called, as while the event loop is blocked; they are due from then on. */
  block(ms: number): void {
    this.#moveTo(this.#monotonicMs + ms);
  }

  /** Sets the wall clock alone, as an operator or NTP would; no timer notices. */
  setWall(epochMs: number): void {
    this.#wallMs = epochMs;
  }

  /** Lets promises, and what is on its way through loopback sockets, arrive. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  #nextUntil(target: number): Alarm | undefined {
    const [next] = [...this.#alarms]
      .filter((alarm) => alarm.dueAt <= target)
      .sort((a, b) => a.dueAt - b.dueAt || a.order - b.order);
    return next;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}
