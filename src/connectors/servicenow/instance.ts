import PQueue from 'p-queue';
import { DelegateError } from '../../kit/errors.ts';
import { ended, untilAborted } from '../../kit/flow.ts';
import type { HttpResponse } from '../../kit/http-exchange.ts';
import { fullJitterMs, sleep, type Clock } from '../../kit/time.ts';
import { RateRules } from './rate-rules.ts';
import { isWorthWaiting } from './retry.ts';

/** As many as the API semaphore of one ServiceNow node runs at once; more would only queue there. */
const MAX_CONCURRENCY = 4;
/** Answers in a row without a refusal after which one more request may run at a time. */
const CALM_ANSWERS = 20;
/** After a 429 that does not say when to come back: the API threads and their queue are taken. */
const BUSY_PAUSE = { leastMs: 1_000, capMs: 60_000 };
/** Failures in a row that look like a dead instance, before it is left alone for a while. */
const DEAD_AFTER = 5;
const DEAD_PAUSE = { leastMs: 5_000, capMs: 60_000 };
/** The longest wait that is believed: rate limits have windows of an hour, and a mistake must not outlast a day. */
const MAX_ASKED_PAUSE_MS = 3_600_000;

/** Statuses that a load balancer gives in the place of an instance that is not there. */
const DEAD_STATUSES: ReadonlySet<number> = new Set([502, 503, 504]);

/** Who waits to be let through. */
export interface Caller {
  readonly signal: AbortSignal;
  /** On `clock.monotonic()`, milliseconds. */
  readonly deadline: number;
  /** Told why it waits, and for how long. */
  readonly onWait: (reason: DelegateError, waitMs: number) => void;
}

/** One request, in its parts. `prepare` is done right before, so that no token runs out in a wait. */
export interface Exchange<P> {
  readonly prepare: () => Promise<P>;
  readonly send: (prepared: P) => Promise<HttpResponse>;
  /** What an answer means; undefined if it is no failure. */
  readonly judge: (response: HttpResponse) => DelegateError | undefined;
}

type State =
  | { readonly at: 'open' }
  | {
      readonly at: 'paused';
      /** On the monotonic clock. */
      readonly until: number;
      readonly reason: DelegateError;
      readonly next: 'open' | 'trial';
    }
  | { readonly at: 'trial'; readonly outcome: Promise<void> };

/**
 * One instance as all tasks share it: how many requests run at once, and when none may go.
 *
 *            Retry-After, 429, or a rate limit used up        time is over
 *   open ────────────────────────────────────────────► paused ────────────► open
 *     │      DEAD_AFTER failures in a row                     time is over
 *     └──────────────────────────────────────────────► paused ────────────► trial ──► open
 *                                                         ▲                   │
 *                                                         └─ longer ─ failed ─┘
 */
export class Instance {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #queue = new PQueue({ concurrency: MAX_CONCURRENCY });
  readonly #rules = new RateRules();
  #state: State = { at: 'open' };
  /** Counts pauses: what was sent before the last one began has nothing new to say of why it began. */
  #epoch = 0;
  #busyInARow = 0;
  #calmInARow = 0;
  #deadInARow = 0;
  #deadPauses = 0;

  constructor(options: { clock: Clock; random: () => number }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** Whether it may be forgotten: nobody waits, and there is nothing that whoever comes next should know. */
  get isIdle(): boolean {
    return !this.isPaused && this.#queue.size === 0 && this.#queue.pending === 0;
  }

  /** Whether it takes no request at present. */
  get isPaused(): boolean {
    return this.#state.at === 'paused' && this.#clock.monotonic() < this.#state.until;
  }

  /** How many requests may run at once now. */
  get concurrency(): number {
    return this.#queue.concurrency;
  }

  /**
   * One request, to be made when `opened` has resolved. Undefined if the instance takes none any more: it is for the
   * caller to wait, who may hold what others need meanwhile. Rejects as `prepare` and `send` do, and with the signal's
   * reason.
   */
  async exchange<P>(
    exchange: Exchange<P>,
    signal: AbortSignal,
  ): Promise<{ prepared: P; response: HttpResponse } | undefined> {
    const prepared = await exchange.prepare();
    const response = await this.#queue.add(() => this.#sendIfOpen(exchange, prepared), { signal });
    return response && { prepared, response };
  }

  /**
   * Resolves when the instance takes a request. Rejects with the signal's reason; and with the reason of a pause that
   * would outlast the caller's deadline, `details.retryAfterMs` being what is left of it.
   */
  async opened(caller: Caller): Promise<void> {
    for (;;) {
      caller.signal.throwIfAborted();
      const state = this.#state;
      if (state.at === 'open') return;
      if (state.at === 'trial') {
        await untilAborted(state.outcome, caller.signal);
        continue;
      }
      const waitMs = state.until - this.#clock.monotonic();
      if (waitMs <= 0) return;
      if (!isWorthWaiting(waitMs, { clock: this.#clock, deadline: caller.deadline }))
        throw state.reason.retold({ details: { retryAfterMs: Math.ceil(waitMs) } });
      caller.onWait(state.reason, waitMs);
      await sleep(this.#clock, waitMs, caller.signal);
    }
  }

  /** Undefined if a pause has begun while the request stood in the queue, or another one is the trial. */
  async #sendIfOpen<P>(exchange: Exchange<P>, prepared: P): Promise<HttpResponse | undefined> {
    const state = this.#state;
    if (state.at === 'trial') return undefined;
    if (state.at === 'open') return await this.#send(exchange, prepared);
    if (this.#clock.monotonic() < state.until) return undefined;
    if (state.next === 'open') {
      this.#state = { at: 'open' };
      return await this.#send(exchange, prepared);
    }
    return await this.#try(exchange, prepared);
  }

  /** The one request that shows whether a dead instance is back. */
  async #try<P>(exchange: Exchange<P>, prepared: P): Promise<HttpResponse> {
    const sending = this.#send(exchange, prepared);
    const trial: State = { at: 'trial', outcome: ended(sending) };
    this.#state = trial;
    try {
      return await sending;
    } finally {
      // Given up, or refused for another reason: the next one in the row tries.
      if (this.#state === trial) this.#state = { at: 'open' };
    }
  }

  async #send<P>(exchange: Exchange<P>, prepared: P): Promise<HttpResponse> {
    const epoch = this.#epoch;
    try {
      const response = await exchange.send(prepared);
      this.#answered(response, exchange.judge, epoch);
      return response;
    } catch (thrown) {
      this.#failed(thrown, epoch);
      throw thrown;
    }
  }

  #failed(thrown: unknown, epoch: number): void {
    // Who gave up waiting (a signal), or was not allowed to ask, learnt nothing of the instance.
    if (!(thrown instanceof DelegateError)) return;
    if (thrown.category === 'unavailable' || thrown.category === 'timeout') this.#looksDead(thrown, epoch);
  }

  #answered(response: HttpResponse, judge: Exchange<unknown>['judge'], epoch: number): void {
    const now = this.#clock.now();
    const error = judge(response);
    const exhaustedMs = this.#rules.exhaustedForMs(response, now);
    const isDead = error !== undefined && DEAD_STATUSES.has(response.status);
    if (!isDead) {
      this.#deadInARow = 0;
      this.#deadPauses = 0;
    }
    const askedMs = isRefusal(error) ? error.details?.['retryAfterMs'] : undefined;
    // "At once", or a date that is past, asks for nothing: whoever refuses so is as busy as one who says no time.
    if (error !== undefined && typeof askedMs === 'number' && askedMs > 0) {
      this.#pause(Math.min(askedMs, MAX_ASKED_PAUSE_MS), error, 'open');
      return;
    }
    if (isDead) {
      this.#looksDead(error, epoch);
      return;
    }
    if (error?.category === 'throttled') {
      this.#isBusy(error, epoch);
      return;
    }
    this.#isCalm();
    if (exhaustedMs === undefined) return;
    const refusal = judge(refusalToCome(response, exhaustedMs));
    if (refusal !== undefined) this.#pause(Math.min(exhaustedMs, MAX_ASKED_PAUSE_MS), refusal, 'open');
  }

  /** Fewer at once, and a pause: whoever gets a 429 without a time has met a full queue, and so would the next. */
  #isBusy(error: DelegateError, epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#calmInARow = 0;
    this.#queue.concurrency = Math.max(1, Math.floor(this.#queue.concurrency / 2));
    this.#pause(this.#growing(BUSY_PAUSE, this.#busyInARow), error, 'open');
    this.#busyInARow += 1;
  }

  #isCalm(): void {
    this.#busyInARow = 0;
    this.#calmInARow += 1;
    if (this.#calmInARow < CALM_ANSWERS || this.#queue.concurrency >= MAX_CONCURRENCY) return;
    this.#calmInARow = 0;
    this.#queue.concurrency += 1;
  }

  #looksDead(error: DelegateError, epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#deadInARow += 1;
    if (this.#deadInARow < DEAD_AFTER) return;
    this.#pause(this.#growing(DEAD_PAUSE, this.#deadPauses), error, 'trial');
    this.#deadPauses += 1;
  }

  /** A shorter pause does not replace a longer one. */
  #pause(ms: number, reason: DelegateError, next: 'open' | 'trial'): void {
    const until = this.#clock.monotonic() + ms;
    if (this.#state.at === 'paused' && this.#state.until >= until) return;
    this.#epoch += 1;
    this.#state = { at: 'paused', until, reason, next };
  }

  #growing({ leastMs, capMs }: { leastMs: number; capMs: number }, before: number): number {
    return leastMs + fullJitterMs(before, { baseMs: leastMs, capMs: capMs - leastMs }, this.#random);
  }
}

/** Instances that are remembered, as long as there is something to remember of them. */
const MAX_INSTANCES = 200;

/** The instances by origin, for all connectors and tasks. */
export class Instances {
  readonly #options: { clock: Clock; random: () => number };
  readonly #byOrigin = new Map<string, Instance>();

  constructor(options: { clock: Clock; random: () => number }) {
    this.#options = options;
  }

  /** How many are left alone at present. */
  get paused(): number {
    let paused = 0;
    for (const { isPaused } of this.#byOrigin.values()) if (isPaused) paused += 1;
    return paused;
  }

  of(baseUrl: string): Instance {
    const { origin } = new URL(baseUrl);
    const instance = this.#byOrigin.get(origin) ?? new Instance(this.#options);
    this.#byOrigin.delete(origin);
    this.#byOrigin.set(origin, instance);
    for (const [oldest, { isIdle }] of this.#byOrigin) {
      if (this.#byOrigin.size <= MAX_INSTANCES) break;
      if (isIdle) this.#byOrigin.delete(oldest);
    }
    return instance;
  }
}

/** Only these may ask to be left alone; a `Retry-After` beside anything else is somebody's default header. */
function isRefusal(error: DelegateError | undefined): error is DelegateError {
  return error?.category === 'throttled' || error?.category === 'unavailable';
}

/** What the server would answer next, now that its limit is used up. */
function refusalToCome({ headers }: HttpResponse, leftMs: number): HttpResponse {
  return {
    status: 429,
    headers: { ...headers, 'retry-after': String(Math.ceil(leftMs / 1_000)) },
    body: '',
  };
}
