import type { Clock, Timer } from '../../src/kit/time.ts';
import type { SimulatedTime } from './time.ts';

interface SetTimer {
  readonly callback: () => void;
  readonly alarm: Timer;
}

/** What has become due, and what has come in, while a process was frozen; each in order. */
interface Held {
  readonly due: SetTimer[];
  readonly arrived: (() => void)[];
}

/**
 * One run of a program, from its start to its kill, as the fence around it: whatever comes in (timers, frames, the
 * disk's answers) comes through here. So a frozen process does nothing until it thaws, and a dead one nothing more.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #time: SimulatedTime;
  readonly #timers = new Set<SetTimer>();
  #held: Held | undefined;
  #alive = true;
  #thawedAt = -Infinity;
  #onKilled: (() => void)[] = [];
  /** What an operator, or NTP, has moved the wall clock by. */
  wallOffsetMs = 0;

  constructor(name: string, time: SimulatedTime) {
    this.name = name;
    this.#time = time;
    const startedAt = time.monotonic();
    this.clock = {
      now: () => time.now() + this.wallOffsetMs,
      monotonic: () => time.monotonic() - startedAt,
      after: (ms, callback) => this.#after(ms, callback),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  get wasFrozen(): boolean {
    return this.frozenUntil !== -Infinity;
  }

  /** On the world's monotonic clock: now if it is frozen, -Infinity if it never was. */
  get frozenUntil(): number {
    return this.frozen ? this.#time.monotonic() : this.#thawedAt;
  }

  get frozen(): boolean {
    return this.#held !== undefined;
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Something from outside reaches the program: now, when it thaws, or never. */
  enter(action: () => void): void {
    if (!this.#alive) return;
    if (this.#held === undefined) action();
    else this.#held.arrived.push(action);
  }

  freeze(): void {
    this.#held ??= { due: [], arrived: [] };
  }

  /** Timers first, as in Node: a process that was stopped finds them due before it reads its sockets. */
  thaw(): void {
    const held = this.#held;
    if (held !== undefined) this.#time.burst(this.#release(held));
  }

  /** What comes in meanwhile waits for its turn. */
  *#release(held: Held): Generator<() => void> {
    for (const timer of held.due) yield () => this.#ring(timer);
    for (const action of held.arrived) yield () => (this.#alive ? action() : undefined);
    if (this.#held === held) this.#held = undefined;
    this.#thawedAt = this.#time.monotonic();
  }

  /** Calls back at once, or when it is killed. Of the world, not of the program: a dead program hears nothing. */
  onKilled(callback: () => void): void {
    if (this.#alive) this.#onKilled.push(callback);
    else callback();
  }

  kill(): void {
    this.#alive = false;
    this.#held = undefined;
    for (const { alarm } of this.#timers) alarm.cancel();
    this.#timers.clear();
    for (const callback of this.#onKilled.splice(0)) callback();
  }

  #after(ms: number, callback: () => void): Timer {
    if (!this.#alive) return { cancel: () => {} };
    const alarm = this.#time.after(ms, () => {
      if (this.#held === undefined) this.#ring(timer);
      else this.#held.due.push(timer);
    });
    const timer: SetTimer = { callback, alarm };
    this.#timers.add(timer);
    return {
      cancel: () => {
        alarm.cancel();
        this.#timers.delete(timer);
      },
    };
  }

  #ring(timer: SetTimer): void {
    if (this.#timers.delete(timer)) timer.callback();
  }
}
