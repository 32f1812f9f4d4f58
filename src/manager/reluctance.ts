import type { Clock, Timer } from '../kit/time.ts';

/** Offers in a row that came to nothing, after which a delegate is asked only when nobody else has credit. */
const MAX_FRUITLESS_OFFERS = 3;
/** How long a delegate is left alone with a task that it rejected without saying for how long. */
const COOLING_MS = 1_000;
/** No delegate is left alone longer, whatever it asked for. */
const MAX_COOLING_MS = 60_000;

/** What offers have taught: which delegate is better not asked now, for one task or for any. */
export class Reluctance {
  readonly #clock: Clock;
  readonly #onCooled: (taskId: string) => void;
  /** By task and delegate: rejected a moment ago. */
  readonly #cooling = new Map<string, Timer>();
  /** By delegate: offers since the last one that it took. At most one entry for each delegate that ever enrolled. */
  readonly #fruitless = new Map<string, number>();

  constructor(clock: Clock, onCooled: (taskId: string) => void) {
    this.#clock = clock;
    this.#onCooled = onCooled;
  }

  /** The delegate has rejected the task and may be asked again, not before `retryAfterMs`. */
  notNow(taskId: string, delegateId: string, retryAfterMs: number = COOLING_MS): void {
    this.offerMissed(delegateId);
    const key = coolingKey(taskId, delegateId);
    this.#cooling.get(key)?.cancel();
    const timer = this.#clock.after(Math.min(retryAfterMs, MAX_COOLING_MS), () => {
      this.#cooling.delete(key);
      this.#onCooled(taskId);
    });
    this.#cooling.set(key, timer);
  }

  isCooling(taskId: string, delegateId: string): boolean {
    return this.#cooling.has(coolingKey(taskId, delegateId));
  }

  offerTaken(delegateId: string): void {
    this.#fruitless.delete(delegateId);
  }

  offerMissed(delegateId: string): void {
    this.#fruitless.set(delegateId, (this.#fruitless.get(delegateId) ?? 0) + 1);
  }

  /** It may answer heartbeats, but it does not take work. */
  takesNothing(delegateId: string): boolean {
    return (this.#fruitless.get(delegateId) ?? 0) >= MAX_FRUITLESS_OFFERS;
  }

  /** Ends every timer. */
  close(): void {
    for (const timer of this.#cooling.values()) timer.cancel();
  }
}

function coolingKey(taskId: string, delegateId: string): string {
  return `${taskId} ${delegateId}`;
}
