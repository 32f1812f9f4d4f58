import { createHash } from 'node:crypto';
import { forgetOldest } from '../kit/bounds.ts';
import { untilAborted } from '../kit/flow.ts';
import { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { failureMemory, type FailureMemory } from './failure-memory.ts';
import { EXCHANGE_LIMIT_MS, withinTime } from './time-limit.ts';
import { tokenError } from './token-errors.ts';
import type { TokenAnswer } from './token-response.ts';

const DEFAULT_CAPACITY = 500;

/** A token is given up this long before its end, so that it does not end on the way. */
const MAX_MARGIN_MS = 10_000;

/** A server may call a token endless, or count in other units; it is asked again after a day. */
const MAX_LIFE_MS = 86_400_000;

/** A token with a shorter life is not renewed early: there would be no time to gain. */
const MIN_LIFE_FOR_EARLY_RENEWAL_MS = 60_000;

/** The last part of a token's life, in which it is renewed; by a random share, lest many renew at one moment. */
const EARLY_SHARE = { least: 0.1, most: 0.2 };

/**
 * Obtains a token. Must end soon after `signal` aborts; one that is seen through must end by itself.
 *
 * It runs once for all who wait, so whatever has to happen before a token is used (keeping a rotated refresh
 * token) belongs in it.
 */
export type ObtainToken = (signal: AbortSignal) => Promise<TokenAnswer>;

export interface TokenSourceOptions {
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  /** Most tokens kept; the one not used for the longest time goes first. */
  capacity?: number;
  /** Longest time for one `ObtainToken` that is not seen through, milliseconds. */
  timeLimitMs?: number;
}

export interface GetOptions {
  /** Asks the server now, whatever is remembered of its last answers. */
  anew?: boolean;
  /**
   * For an exchange that may use up a refresh token: it is never cut short, since with its answer the grant itself
   * would be lost. It goes on when nobody waits any more, and its signal aborts only to say that the source closes:
   * what has not been begun then must not be.
   */
  seeThrough?: boolean;
}

interface Entry {
  readonly answer: TokenAnswer;
  /** On the monotonic clock. */
  readonly usableUntil: number;
  /** Likewise; from then on it is renewed while it is still handed out. */
  readonly renewFrom: number;
}

interface Flight {
  readonly answer: Promise<TokenAnswer>;
  readonly controller: AbortController;
  readonly seeThrough: boolean;
  waiters: number;
  /** Whether its token is for those, too, who come when it has landed. */
  isKept: boolean;
}

/**
 * Tokens in memory: one request for any number of waiting tasks, each token used until shortly before its end.
 *
 *   get ──► cached and usable? ──► answer; near its end, a renewal begins that nobody waits for
 *               │ no, or anew
 *               ▼
 *           a flight for the key? ──► join it ──► answer, or its failure
 *               │ no                    │ last waiter left, time limit, close; unless it is seen through
 *               ▼                       ▼
 *           failed just now? ──► told   abort; forgotten at once, so the next get starts anew
 *               │ no, or anew
 *               ▼
 *           start one
 */
export class TokenSource {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #capacity: number;
  readonly #timeLimitMs: number;
  readonly #failures: FailureMemory;
  /** In the order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** The flight whose answer counts, by key. One that is not here any more can't store anything. */
  readonly #flights = new Map<string, Flight>();
  /** Everything begun and not ended, abandoned flights included. */
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: TokenSourceOptions) {
    const { clock, random, capacity = DEFAULT_CAPACITY } = options;
    this.#clock = clock;
    this.#random = random;
    this.#capacity = capacity;
    this.#timeLimitMs = options.timeLimitMs ?? EXCHANGE_LIMIT_MS;
    this.#failures = failureMemory({ clock, random, capacity });
  }

  /**
   * A usable token for the key, from `tokenKey`.
   *
   * @param signal ends this caller's wait; the request goes on for whoever else waits
   * @throws what `obtain` throws, or threw a moment ago: then with `details.retryAfterMs`, or `notAskedForMs` if
   * trying again won't help; `token.timeout`; the signal's reason
   */
  async get(
    key: string,
    obtain: ObtainToken,
    signal: AbortSignal,
    { anew = false, seeThrough = false }: GetOptions = {},
  ): Promise<TokenAnswer> {
    signal.throwIfAborted();
    if (this.#closed) throw sourceClosed();
    if (!anew) {
      const cached = this.#usable(key);
      if (cached !== undefined) {
        if (this.#isDue(key, cached)) this.#start(key, obtain, seeThrough, 1);
        return cached.answer;
      }
      const failure = this.#flights.has(key) ? undefined : this.#failures.standing(key);
      if (failure !== undefined) throw failure;
    }
    const flight = this.#flights.get(key) ?? this.#start(key, obtain, seeThrough, 0);
    flight.waiters += 1;
    try {
      return await untilAborted(flight.answer, signal);
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0 && !flight.seeThrough) {
        this.#abandon(key, flight, new Error('nobody waits for this token any more'));
      }
    }
  }

  /**
   * Drops the token that was refused. Does nothing if another has taken its place meanwhile: of many tasks that
   * share a token and are refused together, only the first one's complaint counts.
   */
  invalidate(key: string, refused: Secret): void {
    if (this.#holds(key, refused)) this.#entries.delete(key);
  }

  /** Drops every token, usable, not or on its way: whoever needs one from now on asks the server again. */
  forgetAll(): void {
    this.#entries.clear();
    for (const flight of this.#flights.values()) flight.isKept = false;
  }

  /** Ends every request but those that are seen through, waits for these, and forgets every token. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [key, flight] of this.#flights) {
      if (flight.seeThrough) flight.controller.abort(sourceClosed());
      else this.#abandon(key, flight, sourceClosed());
    }
    await Promise.allSettled(this.#running);
    this.#entries.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #usable(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (this.#clock.monotonic() >= entry.usableUntil) return undefined;
    this.#entries.set(key, entry);
    return entry;
  }

  #holds(key: string, token: Secret): boolean {
    return this.#entries.get(key)?.answer.accessToken.reveal() === token.reveal();
  }

  /** Whether to renew it already. Where that failed just now, the token at hand is used on. */
  #isDue(key: string, { renewFrom }: Entry): boolean {
    if (this.#clock.monotonic() < renewFrom || this.#flights.has(key)) return false;
    return this.#failures.standing(key) === undefined;
  }

  /** @param waiters who waits already: of an early renewal the source itself, so that nobody who leaves can end it */
  #start(key: string, obtain: ObtainToken, seeThrough: boolean, waiters: 0 | 1): Flight {
    const startedAt = this.#clock.monotonic();
    const controller = new AbortController();
    const answer = this.#fly(controller, obtain, seeThrough).then(
      (obtained) => {
        this.#land(key, flight, obtained, startedAt);
        return obtained;
      },
      (thrown: unknown) => {
        // One that was abandoned failed by our own hand, or says less than the one that took its place.
        throw this.#forget(key, flight) ? this.#failures.remember(key, thrown) : thrown;
      },
    );
    // The failure belongs to those who wait; of an early renewal nobody does.
    answer.catch(() => {});
    const flight: Flight = { answer, controller, seeThrough, waiters, isKept: true };
    this.#flights.set(key, flight);
    return flight;
  }

  async #fly(controller: AbortController, obtain: ObtainToken, seeThrough: boolean): Promise<TokenAnswer> {
    const work = (signal: AbortSignal): Promise<TokenAnswer> => this.#track(obtain(signal));
    return await (seeThrough
      ? work(controller.signal)
      : withinTime(this.#clock, this.#timeLimitMs, controller, work));
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const drop = (): boolean => this.#running.delete(work);
    this.#running.add(work);
    void work.then(drop, drop);
    return work;
  }

  #land(key: string, flight: Flight, answer: TokenAnswer, startedAt: number): void {
    // An abandoned flight may still land; its answer is older than that of the flight that took its place.
    if (!this.#forget(key, flight) || this.#closed) return;
    this.#failures.forget(key);
    const lifeMs = Math.min(answer.expiresInS * 1_000, MAX_LIFE_MS);
    // Counted from before the request: the server began to count somewhere between then and now.
    const usableUntil = startedAt + lifeMs - Math.min(MAX_MARGIN_MS, lifeMs / 10);
    if (usableUntil <= this.#clock.monotonic() || !flight.isKept) return;
    // ServiceNow gives the same token again until it has ended: to ask once more before would bring nothing.
    const isSame = this.#holds(key, answer.accessToken);
    const renewFrom = isSame ? Infinity : startedAt + lifeMs - this.#earlyMs(lifeMs);
    this.#entries.delete(key);
    this.#entries.set(key, { answer, usableUntil, renewFrom });
    forgetOldest(this.#entries, this.#capacity);
  }

  #earlyMs(lifeMs: number): number {
    if (lifeMs < MIN_LIFE_FOR_EARLY_RENEWAL_MS) return 0;
    const { least, most } = EARLY_SHARE;
    return lifeMs * (least + this.#random() * (most - least));
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

function sourceClosed(): Error {
  return tokenError('token.closed', 'The delegate is stopping and obtains no more tokens.');
}
