import type { Clock, Timer } from '../../kit/time.ts';
import { keyOf, type TaskRef } from '../../protocol/messages.ts';

/**
 * How long each task may still count on being ours: `leaseMs` from its accept, or from the sending of the last
 * heartbeat that named it and was acknowledged. From the sending, not from the ack, because the manager may
 * have counted from any moment in between. A late ack renews only what is still here.
 */
export class Leases {
  readonly #clock: Clock;
  readonly #onLost: (ref: TaskRef) => void;
  readonly #leases = new Map<string, { timer: Timer; from: number; endsAt: number }>();
  /** From the last welcome; generous until the first one. */
  leaseMs = 30_000;

  constructor(clock: Clock, onLost: (ref: TaskRef) => void) {
    this.#clock = clock;
    this.#onLost = onLost;
  }

  /** @param from monotonic milliseconds */
  grant(ref: TaskRef, from: number): void {
    const key = keyOf(ref);
    this.#leases.get(key)?.timer.cancel();
    const endsAt = from + this.leaseMs;
    const timer = this.#clock.after(Math.max(0, endsAt - this.#clock.monotonic()), () => {
      this.#leases.delete(key);
      this.#onLost(ref);
    });
    this.#leases.set(key, { timer, from, endsAt });
  }

  renew(refs: readonly TaskRef[], from: number): void {
    for (const ref of refs) {
      const lease = this.#leases.get(keyOf(ref));
      // An older heartbeat, acknowledged late by another session, takes back nothing.
      if (lease !== undefined && from >= lease.from) this.grant(ref, from);
    }
  }

  /** Loses at once a lease that has run out by the clock: a blocked event loop may not have told yet. */
  check(ref: TaskRef): void {
    const lease = this.#leases.get(keyOf(ref));
    if (lease === undefined || this.#clock.monotonic() < lease.endsAt) return;
    this.drop(ref);
    this.#onLost(ref);
  }

  drop(ref: TaskRef): void {
    const key = keyOf(ref);
    this.#leases.get(key)?.timer.cancel();
    this.#leases.delete(key);
  }
}
