/** What the scripts here share of a command line: they read whole numbers, and print lines. */

/** Both included. */
interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** Above the seeds that scripts make of the time. */
const MOST = 2 ** 32;

/** @throws TypeError naming the option, for anything but a whole number within the bounds; 0 to 2^32 by default */
export function wholeNumber(name: string, text: string, { least = 0, most = MOST }: Bounds = {}): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new TypeError(`--${name} takes a whole number from ${least} to ${most}, not ${text}`);
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
