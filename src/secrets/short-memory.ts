import { forgetOldest } from '../kit/bounds.ts';
import { ended, untilAborted } from '../kit/flow.ts';
import type { Clock } from '../kit/time.ts';
import { secretError } from './errors.ts';

/** Of one read, with its login: well within the time of a task. */
const READ_WITHIN_MS = 20_000;
/** References are few; a manager that makes them up must not fill the memory. */
const MAX_ENTRIES = 500;

export interface ShortMemoryOptions {
  /** What is read, for its errors: "Vault". */
  readonly store: string;
  readonly clock: Clock;
  /** How long a value is taken for current. */
  readonly keepMs: number;
}

/** A value, and for how long it is good if that is less than the memory's own time. */
export interface ReadValue<T> {
  readonly value: T;
  readonly goodForMs?: number | undefined;
}

/**
 * What was read from a store a moment ago, so that two hundred tasks make one read. One read at a time for each key,
 * on a signal of its own: the task that asked first may be cancelled, and the others still wait. A failure is told to
 * all who wait, and not remembered.
 */
export class ShortMemory<T> implements AsyncDisposable {
  readonly #options: ShortMemoryOptions;
  readonly #kept = new Map<string, { value: T; until: number }>();
  readonly #reads = new Map<string, Promise<T>>();
  /** Those of keys that were forgotten meanwhile, too. */
  readonly #underWay = new Set<Promise<T>>();
  readonly #end = new AbortController();

  constructor(options: ShortMemoryOptions) {
    this.#options = options;
  }

  async get(
    key: string,
    signal: AbortSignal,
    read: (signal: AbortSignal) => Promise<ReadValue<T>>,
  ): Promise<T> {
    signal.throwIfAborted();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#options.clock.monotonic()) return kept.value;
    return await untilAborted(this.#reads.get(key) ?? this.#begin(key, read), signal);
  }

  /** The next `get` reads, and does not take over what is being read now. */
  forget(key: string): void {
    this.#kept.delete(key);
    this.#reads.delete(key);
  }

  /** Resolves when no read is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(this.#failure('the delegate is ending'));
    await Promise.all(Array.from(this.#underWay, ended));
    this.#kept.clear();
  }

  #begin(key: string, read: (signal: AbortSignal) => Promise<ReadValue<T>>): Promise<T> {
    const reading = this.#read(read).then(({ value, goodForMs = Number.POSITIVE_INFINITY }) => {
      if (this.#reads.get(key) === reading) this.#keep(key, value, goodForMs);
      return value;
    });
    this.#reads.set(key, reading);
    this.#underWay.add(reading);
    void ended(reading).finally(() => {
      this.#underWay.delete(reading);
      if (this.#reads.get(key) === reading) this.#reads.delete(key);
    });
    return reading;
  }

  #keep(key: string, value: T, goodForMs: number): void {
    const { clock, keepMs } = this.#options;
    const forMs = Math.min(keepMs, goodForMs);
    this.#kept.delete(key);
    if (forMs <= 0) return;
    this.#kept.set(key, { value, until: clock.monotonic() + forMs });
    forgetOldest(this.#kept, MAX_ENTRIES);
  }

  async #read(read: (signal: AbortSignal) => Promise<ReadValue<T>>): Promise<ReadValue<T>> {
    const late = new AbortController();
    const timer = this.#options.clock.after(READ_WITHIN_MS, () => {
      late.abort(this.#failure(`there was no answer within ${READ_WITHIN_MS / 1_000} s`));
    });
    try {
      return await read(AbortSignal.any([late.signal, this.#end.signal]));
    } finally {
      timer.cancel();
    }
  }

  #failure(why: string): Error {
    const { store } = this.#options;
    return secretError('secret-store-unreachable', `${store} was not read: ${why}.`);
  }
}
