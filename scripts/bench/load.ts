import type { LoadOrder, LoadSample } from './messages.ts';
import { percentile } from './statistics.ts';

/**
 * Keeps so many calls in flight. The same code for every contestant, so that what it costs falls out of the ratios.
 * Time is not over before as many results are there as calls at once, or a slow one would have none. Resolves when the
 * last call has ended; results that come after the time are not counted. Rejects as the first call that fails.
 *
 * @param call the n-th, from 0
 */
export async function measureLoad(
  call: (n: number) => Promise<void>,
  { inFlight, until }: LoadOrder,
): Promise<LoadSample> {
  const latenciesMs: number[] = [];
  const from = performance.now();
  const isOver = (now: number): boolean =>
    'ms' in until
      ? now - from >= until.ms && latenciesMs.length >= inFlight
      : latenciesMs.length >= until.tasks;
  const mostCalls = 'ms' in until ? Infinity : until.tasks;
  let begun = 0;
  let over: number | undefined;
  const callOnAndOn = async (): Promise<void> => {
    while (over === undefined && begun < mostCalls) {
      const n = begun;
      begun += 1;
      const sentAt = performance.now();
      await call(n);
      const endedAt = performance.now();
      // Another caller may have seen the end meanwhile.
      if (over !== undefined) return;
      latenciesMs.push(endedAt - sentAt);
      if (isOver(endedAt)) over = endedAt;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, callOnAndOn));
  const sorted = Float64Array.from(latenciesMs).sort();
  return {
    tasks: sorted.length,
    seconds: ((over ?? performance.now()) - from) / 1_000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
}
