/** Of values in any order. Throws for none. */
export function median(values: readonly number[]): number {
  return percentile(values.toSorted(ascending), 0.5);
}

/**
 * The value below which this share of all lies, between neighbours in proportion.
 *
 * @param sorted ascending, not empty
 * @param share from 0 to 1
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new RangeError('no values');
  return below + (above - below) * (at - Math.floor(at));
}

/** Repetitions of one measurement. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly values: readonly number[];
}

export function summaryOf(values: readonly number[]): Summary {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values), values };
}

/**
 * What one takes of another, repetition by repetition: whatever slows the machine down for a while slows down both, and
 * so hardly changes the ratio.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Summary {
  if (ours.length !== theirs.length) throw new RangeError('repetitions without a counterpart');
  return summaryOf(ours.map((value, at) => value / (theirs[at] ?? Number.NaN)));
}

function ascending(a: number, b: number): number {
  return a - b;
}
