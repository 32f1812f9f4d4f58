import type { Holdings } from './orders.ts';

/** Whether a process that has run for a while still grows. */

export interface Sample extends Holdings {
  /** Since the beginning. */
  readonly atMs: number;
  readonly stateBytes: number;
}

export type Quantity = Exclude<keyof Sample, 'atMs'>;

export interface Verdict {
  readonly quantity: Quantity;
  readonly isFlat: boolean;
  /** Of the second half, as its straight line has it. */
  readonly from: number;
  readonly to: number;
  /** What it may have grown by. */
  readonly tolerance: number;
}

const MIB = 1_048_576;

/**
 * By how much each may seem to grow over the second half of the samples, whatever its length. Of memory it is what
 * compiled code, caches, a fragmented heap and the memory of the last thousand ended tasks come to. Tasks on their way
 * and connections being made hold a few descriptors, handles and timers, which come and go too; of a leak there is
 * another one with each task or cut, and a minute has dozens of these.
 *
 * The state folder has no slope to be judged by: a segment of the journal grows to 4 MiB and begins anew. It has a
 * ceiling: one old segment, and the new one beside it.
 */
const SLOPED: readonly { quantity: Exclude<Quantity, 'stateBytes'>; mayGrowBy: (mean: number) => number }[] =
  [
    { quantity: 'heapBytes', mayGrowBy: (mean) => Math.max(MIB / 2, 0.05 * mean) },
    { quantity: 'rssBytes', mayGrowBy: (mean) => Math.max(8 * MIB, 0.1 * mean) },
    { quantity: 'descriptors', mayGrowBy: () => 4 },
    { quantity: 'handles', mayGrowBy: () => 4 },
    { quantity: 'timers', mayGrowBy: () => 8 },
  ];
const STATE_CEILING_BYTES = 10 * MIB;
/** Fewer make no line that says anything. */
const MIN_SAMPLES = 4;

/** One verdict for each quantity; none of a run with too few samples. */
export function judge(samples: readonly Sample[]): Verdict[] {
  const half = samples.slice(Math.floor(samples.length / 2));
  if (half.length < MIN_SAMPLES) return [];
  const sloped = SLOPED.map(({ quantity, mayGrowBy }): Verdict => {
    const { from, to, mean } = fit(half.map((sample) => [sample.atMs, sample[quantity]]));
    const tolerance = mayGrowBy(mean);
    return { quantity, from, to, tolerance, isFlat: to - from <= tolerance };
  });
  const most = Math.max(...samples.map(({ stateBytes }) => stateBytes));
  const bounded: Verdict = {
    quantity: 'stateBytes',
    from: 0,
    to: most,
    tolerance: STATE_CEILING_BYTES,
    isFlat: most <= STATE_CEILING_BYTES,
  };
  return [...sloped, bounded];
}

/** The straight line of least squares, by its two ends. */
function fit(points: readonly (readonly [x: number, y: number])[]): {
  from: number;
  to: number;
  mean: number;
} {
  const meanX = meanOf(points.map(([x]) => x));
  const meanY = meanOf(points.map(([, y]) => y));
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const slope = below === 0 ? 0 : above / below;
  const at = (x: number): number => meanY + slope * (x - meanX);
  return { from: at(points[0]?.[0] ?? 0), to: at(points.at(-1)?.[0] ?? 0), mean: meanY };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
