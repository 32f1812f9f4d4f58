import { ManualClock } from '../support/manual-clock.ts';
import { turn } from '../support/until.ts';

/** Wall time at which every world begins, so that a history holds the same times whenever it is replayed. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * The one time of a simulated world. Nothing in it waits for anything real, so a single turn of the event loop lets
 * everything happen that an alarm has caused.
 */
export class SimulatedTime extends ManualClock {
  #burst: Promise<void> = Promise.resolve();

  constructor() {
    super(EPOCH_MS);
  }

  override async settle(): Promise<void> {
    // One burst may bring about another.
    for (let burst: Promise<void> | undefined; burst !== this.#burst;) {
      burst = this.#burst;
      await burst;
    }
    await turn();
  }

  /**
   * Several things in one turn of the event loop, as a process does them that was stopped for a while: after each
   * of them promises are followed, and only after the last what was put off by `setImmediate`.
   */
  burst(actions: Iterable<() => void>): void {
    this.#burst = this.#burst.then(() => inOneTurn(actions));
  }
}

async function inOneTurn(actions: Iterable<() => void>): Promise<void> {
  for (const action of actions) {
    action();
    // The queue of `nextTick` is reached only when no promise is left to be followed.
    await new Promise<void>((resolve) => {
      process.nextTick(resolve);
    });
  }
}
