import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Heartbeat } from '../protocol/messages.ts';

const RESOLUTION_MS = 20;
const NANOSECONDS_PER_MS = 1_000_000;

/** How hard this process has worked since it was last asked. */
export class LoadMeter implements Disposable {
  readonly #loopDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  begin(): void {
    this.#loopDelay.enable();
  }

  [Symbol.dispose](): void {
    this.#loopDelay.disable();
  }

  /** @param running tasks at this moment */
  read(running: number): Heartbeat['load'] {
    const meanNs = this.#loopDelay.mean;
    this.#loopDelay.reset();
    return {
      running,
      // A task starts as soon as it is accepted: credit never exceeds the free slots.
      queued: 0,
      eventLoopDelayMs: Number.isFinite(meanNs) ? Math.round(meanNs / NANOSECONDS_PER_MS) : 0,
      rssBytes: process.memoryUsage.rss(),
    };
  }
}
