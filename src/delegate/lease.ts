import type { Clock, Timer } from '../kit/time.ts';
import { keyOf, type TaskRef } from '../protocol/messages.ts';

/**
 * How long each task may still count on being ours: `leaseMs` from its accept, or from the sending of the last
 * heartbeat that named it and was acknowledged. From the sending, not from the ack, because the manager may
 * have counted from any moment in between. A late ack renews only what is still here.
 */
export class Leases {
  readonly #clock: Clock;
  readonly #onLost: (ref: TaskRef) => void;
  readonly #timers = new Map<string, Timer>();
  /** From the last welcome; generous until the first one. */
  leaseMs = 30_000;

  constructor(clock: Clock, onLost: (ref: TaskRef) => void) {
    this.#clock = clock;
    this.#onLost = onLost;
  }

  /** @param from monotonic milliseconds */
  grant(ref: TaskRef, from: number): void {
    const key = keyOf(ref);
    this.#timers.get(key)?.cancel();
    const remainingMs = from + this.leaseMs - this.#clock.monotonic();
    const timer = this.#clock.after(Math.max(0, remainingMs), () => {
      this.#timers.delete(key);
      this.#onLost(ref);
    });
    this.#timers.set(key, timer);
  }

  renew(refs: readonly TaskRef[], from: number): void {
    for (const ref of refs) if (this.#timers.has(keyOf(ref))) this.grant(ref, from);
  }

  drop(ref: TaskRef): void {
    const key = keyOf(ref);
    this.#timers.get(key)?.cancel();
    this.#timers.delete(key);
  }
}
