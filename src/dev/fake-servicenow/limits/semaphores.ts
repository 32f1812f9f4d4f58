/** Requests of the API that one node works on at once. */
const THREADS = 4;

/** Requests that wait for a thread; the next one is turned away. */
const QUEUE_LENGTH = 50;

/** A thread, until it is given back. */
export interface Slot {
  /** Idempotent. */
  release(): void;
}

/** The pool `API_INT`, which all integrations of a node share. */
export class Semaphores {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Waits for a thread; undefined if the queue is full too. Rejects with the signal's reason when the client leaves. */
  async enter(signal: AbortSignal): Promise<Slot | undefined> {
    if (this.#running < THREADS) this.#running += 1;
    else if (this.#waiting.length >= QUEUE_LENGTH) return undefined;
    else await this.#turn(signal);
    let held = true;
    return {
      release: () => {
        if (held) this.#release();
        held = false;
      },
    };
  }

  /** The thread goes straight to the first in the queue: it never looks free to a newcomer. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(onTurn), 1);
        reject(new Error('the client left the queue', { cause: signal.reason }));
      };
      this.#waiting.push(onTurn);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
