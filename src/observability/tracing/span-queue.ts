import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import { fullJitterMs, type Clock, type Timer } from '../../kit/time.ts';
import type { Metrics } from '../metrics.ts';
import type { Deliver } from './collector.ts';

/** Some 2 MiB; at 3 spans for a look at an approval, about 700 of them. */
const MAX_WAITING_SPANS = 2_048;
const MAX_BATCH_SPANS = 512;
/** How long a span waits for others. */
const GATHER_MS = 5_000;
/** Between tries while the collector is away. */
const AWAY_PAUSE = { baseMs: 5_000, capMs: 60_000 };
/** A stop waits so long for the collector; spans are not worth a kill. */
const FLUSH_WITHIN_MS = 1_500;

export interface QueueLog {
  warn(fields: Record<string, unknown>, message: string): void;
}

export interface SpanQueueOptions {
  readonly deliver: Deliver;
  readonly metrics: Pick<Metrics, 'spansLost'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: QueueLog;
}

/**
 * Ended spans on their way to the collector, one batch at a time. Bounded: while the collector is away the first ones
 * are kept and later ones are lost, which is counted and told. The SDK's own processor would drop them in silence, time
 * itself by timers that nobody owns, and send everything at once when it stops.
 */
export class SpanQueue implements SpanProcessor, AsyncDisposable {
  readonly #options: SpanQueueOptions;
  readonly #waiting: ReadableSpan[] = [];
  readonly #giveUp = new AbortController();
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #failuresInARow = 0;
  #lostUntold = 0;
  #ending: Promise<void> | undefined;

  constructor(options: SpanQueueOptions) {
    this.#options = options;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#ending !== undefined || this.#waiting.length >= MAX_WAITING_SPANS) {
      this.#lose(1);
      return;
    }
    this.#waiting.push(span);
    this.#sendIn(GATHER_MS);
  }

  /** For the SDK, which never asks for it here. */
  forceFlush(): Promise<void> {
    return this.#sending ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this[Symbol.asyncDispose]();
  }

  /** Sends what waits, if that can be done in a moment. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#ending ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#timer?.cancel();
    const timer = this.#options.clock.after(FLUSH_WITHIN_MS, () => this.#giveUp.abort());
    try {
      await this.#sending;
      await this.#sendAll();
    } finally {
      timer.cancel();
    }
    this.#lose(this.#waiting.splice(0).length);
    this.#tellLost();
  }

  #sendIn(ms: number): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#ending !== undefined) return;
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      this.#sending = this.#sendAndRest();
    });
  }

  async #sendAndRest(): Promise<void> {
    const pauseMs = await this.#sendAll();
    this.#sending = undefined;
    if (this.#waiting.length > 0) this.#sendIn(pauseMs);
  }

  /** Batch after batch, until none is left or one is not taken. Resolves with the pause before the next try. */
  async #sendAll(): Promise<number> {
    const { deliver, random } = this.#options;
    while (this.#waiting.length > 0 && !this.#giveUp.signal.aborted) {
      const batch = this.#waiting.slice(0, MAX_BATCH_SPANS);
      const delivery = await deliver(batch, this.#giveUp.signal);
      if (delivery.is === 'later') {
        this.#failed(delivery.code);
        const ownMs = AWAY_PAUSE.baseMs + fullJitterMs(this.#failuresInARow - 1, AWAY_PAUSE, random);
        return Math.min(AWAY_PAUSE.capMs, Math.max(ownMs, delivery.waitMs ?? 0));
      }
      this.#waiting.splice(0, batch.length);
      if (delivery.is === 'taken') {
        this.#failuresInARow = 0;
        this.#lose(delivery.rejected);
        this.#tellLost();
      } else {
        this.#failed(delivery.code);
        this.#lose(batch.length);
      }
    }
    return GATHER_MS;
  }

  /** Once for each outage: it may last. */
  #failed(code: string): void {
    this.#failuresInARow += 1;
    if (this.#failuresInARow > 1) return;
    this.#options.log.warn({ code }, 'the trace collector takes no spans');
  }

  #lose(spans: number): void {
    if (spans === 0) return;
    this.#lostUntold += spans;
    this.#options.metrics.spansLost(spans);
  }

  #tellLost(): void {
    if (this.#lostUntold === 0) return;
    this.#options.log.warn({ lostSpans: this.#lostUntold }, 'spans were lost');
    this.#lostUntold = 0;
  }
}
