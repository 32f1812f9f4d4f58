/** A promise with its two ends in hand. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: Error): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Why it was aborted, as an error whatever was given. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

/** The first of `work` and the signal's end. The signal must also go into the work: this only ends the wait. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = deferred<never>();
  const onAbort = (): void => aborted.reject(abortReason(signal));
  // No early throw for a signal that has ended before: `work` would be left without anyone who hears its rejection.
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([aborted.promise, work]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Resolves when the work has ended, however: its failure belongs to whoever waits for its value. */
export async function ended(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work]);
}

/**
 * A queue between a producer that can't wait (a socket) and one serial consumer (`for await`). The producer is
 * told when the bound is reached; nothing is dropped in silence.
 */
export class Mailbox<T> implements AsyncIterable<T> {
  readonly #items: { item: T }[] = [];
  readonly #capacity: number;
  #wake: Deferred<void> | undefined;
  #ended = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** False when the box is full or ended: the item was not taken. */
  put(item: T): boolean {
    if (this.#ended || this.#items.length >= this.#capacity) return false;
    this.#items.push({ item });
    this.#wake?.resolve();
    return true;
  }

  /** What is in the box is still handed out; then the iteration ends. */
  end(): void {
    this.#ended = true;
    this.#wake?.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      for (let next = this.#items.shift(); next !== undefined; next = this.#items.shift()) yield next.item;
      if (this.#ended) return;
      this.#wake = deferred();
      await this.#wake.promise;
      this.#wake = undefined;
    }
  }
}
