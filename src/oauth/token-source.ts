import { createHash } from 'node:crypto';
import { forgetOldest } from '../kit/bounds.ts';
import { DelegateError } from '../kit/errors.ts';
import { untilAborted } from '../kit/flow.ts';
import { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import type { TokenAnswer } from './token-response.ts';

const DEFAULT_CAPACITY = 500;

/** One exchange, its Basic repeat included, and the storing of a rotated refresh token. */
const DEFAULT_TIME_LIMIT_MS = 60_000;

/** A token is given up this long before its end, so that it does not end on the way. */
const MAX_MARGIN_MS = 10_000;

/**
 * Obtains a token. Must end soon after `signal` aborts.
 *
 * It runs once for all who wait, so whatever has to happen before a token is used (storing a rotated refresh
 * token) belongs in it; so does remembering failures, which the source itself never does.
 */
export type ObtainToken = (signal: AbortSignal) => Promise<TokenAnswer>;

export interface TokenSourceOptions {
  clock: Clock;
  /** Most tokens kept; the one not used for the longest time goes first. */
  capacity?: number;
  /** Longest time for one `ObtainToken`, milliseconds. */
  timeLimitMs?: number;
}

interface Entry {
  readonly answer: TokenAnswer;
  /** On the monotonic clock. */
  readonly usableUntil: number;
}

interface Flight {
  readonly answer: Promise<TokenAnswer>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * Tokens in memory: one request for any number of waiting tasks, each token used until shortly before its end.
 *
 *   get ──► cached and usable? ──► answer
 *               │ no
 *               ▼
 *           a flight for the key? ──► join it ──► answer, or its failure
 *               │ no                    │ last waiter left, time limit, close
 *               ▼                       ▼
 *           start one               abort; forgotten at once, so the next get starts anew
 */
export class TokenSource {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #timeLimitMs: number;
  /** In the order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** The flight whose answer counts, by key. One that is not here any more can't store anything. */
  readonly #flights = new Map<string, Flight>();
  /** Everything begun and not ended, abandoned flights included. */
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: TokenSourceOptions) {
    this.#clock = options.clock;
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#timeLimitMs = options.timeLimitMs ?? DEFAULT_TIME_LIMIT_MS;
  }

  /**
   * A usable token for the key, from `tokenKey`.
   *
   * @param signal ends this caller's wait; the request goes on for whoever else waits
   * @throws what `obtain` throws; `token.timeout`; the signal's reason
   */
  async get(key: string, obtain: ObtainToken, signal: AbortSignal): Promise<TokenAnswer> {
    signal.throwIfAborted();
    if (this.#closed) throw sourceClosed();
    const cached = this.#usable(key);
    if (cached !== undefined) return cached;
    const flight = this.#flights.get(key) ?? this.#start(key, obtain);
    flight.waiters += 1;
    try {
      return await untilAborted(flight.answer, signal);
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0) this.#abandon(key, flight, new Error('nobody waits for this token any more'));
    }
  }

  /**
   * Drops the token that was refused. Does nothing if another has taken its place meanwhile: of many tasks that
   * share a token and are refused together, only the first one's complaint counts.
   */
  invalidate(key: string, refused: Secret): void {
    const entry = this.#entries.get(key);
    if (entry?.answer.accessToken.reveal() === refused.reveal()) this.#entries.delete(key);
  }

  /** Ends every request and forgets every token. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [key, flight] of this.#flights) this.#abandon(key, flight, sourceClosed());
    this.#entries.clear();
    await Promise.allSettled(this.#running);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #usable(key: string): TokenAnswer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (this.#clock.monotonic() >= entry.usableUntil) return undefined;
    this.#entries.set(key, entry);
    return entry.answer;
  }

  #start(key: string, obtain: ObtainToken): Flight {
    const startedAt = this.#clock.monotonic();
    const controller = new AbortController();
    const flight: Flight = { answer: this.#fly(controller, obtain), controller, waiters: 0 };
    this.#flights.set(key, flight);
    void flight.answer.then(
      (answer) => this.#land(key, flight, answer, startedAt),
      // The failure belongs to those who wait; here it only ends the flight.
      () => this.#forget(key, flight),
    );
    return flight;
  }

  async #fly(controller: AbortController, obtain: ObtainToken): Promise<TokenAnswer> {
    const limit = this.#clock.after(this.#timeLimitMs, () => controller.abort(timedOut(this.#timeLimitMs)));
    try {
      const work = obtain(controller.signal);
      this.#track(work);
      return await untilAborted(work, controller.signal);
    } finally {
      limit.cancel();
    }
  }

  #track(work: Promise<unknown>): void {
    const drop = (): boolean => this.#running.delete(work);
    this.#running.add(work);
    void work.then(drop, drop);
  }

  #land(key: string, flight: Flight, answer: TokenAnswer, startedAt: number): void {
    // An abandoned flight may still land; its answer is older than that of the flight that took its place.
    if (!this.#forget(key, flight)) return;
    const lifeMs = answer.expiresInS * 1_000;
    // Counted from before the request: the server began to count somewhere between then and now.
    const usableUntil = startedAt + lifeMs - Math.min(MAX_MARGIN_MS, lifeMs / 10);
    if (usableUntil <= this.#clock.monotonic()) return;
    this.#entries.delete(key);
    this.#entries.set(key, { answer, usableUntil });
    forgetOldest(this.#entries, this.#capacity);
  }

  #abandon(key: string, flight: Flight, reason: Error): void {
    if (this.#forget(key, flight)) flight.controller.abort(reason);
  }

  /** False if the flight was forgotten before. */
  #forget(key: string, flight: Flight): boolean {
    return this.#flights.get(key) === flight && this.#flights.delete(key);
  }
}

/**
 * The key of a token: SHA-256 over every input that decides which token comes back. Each part carries its
 * length, so no two lists of parts can run into the same bytes; undefined is another part than ''.
 */
export function tokenKey(parts: readonly (string | Secret | undefined)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const value = part instanceof Secret ? part.reveal() : part;
    hash.update(value === undefined ? '-;' : `${Buffer.byteLength(value, 'utf8')}:`);
    if (value !== undefined) hash.update(value, 'utf8');
  }
  return hash.digest('hex');
}

function timedOut(limitMs: number): DelegateError {
  return new DelegateError('token.timeout', `No token was obtained within ${limitMs / 1_000} s.`, {
    category: 'timeout',
    retryable: true,
    hint: 'The token server is slow or does not answer; check it, and the proxy on the way.',
  });
}

function sourceClosed(): DelegateError {
  return new DelegateError('token.closed', 'The delegate is stopping and obtains no more tokens.', {
    category: 'cancelled',
    retryable: true,
  });
}
