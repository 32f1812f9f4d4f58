const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const BYTE_UNITS = ['kB', 'MB', 'GB', 'TB'] as const;

/** For a glance: `850 ms`, `12 s`, `3 h 12 min`, `5 d 2 h`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < MINUTE_MS) return `${Math.floor(ms / 1_000)} s`;
  if (ms < HOUR_MS) return inTwo(ms, MINUTE_MS, 'min', 1_000, 's');
  if (ms < DAY_MS) return inTwo(ms, HOUR_MS, 'h', MINUTE_MS, 'min');
  return inTwo(ms, DAY_MS, 'd', HOUR_MS, 'h');
}

function inTwo(ms: number, great: number, greatName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % great) / small);
  return `${Math.floor(ms / great)} ${greatName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

/** For a glance: `512 bytes`, `1.5 MB`; powers of a thousand. */
export function bytesText(bytes: number): string {
  let amount = bytes;
  let unit = 'bytes';
  for (const next of BYTE_UNITS) {
    if (amount < 1_000) break;
    [amount, unit] = [amount / 1_000, next];
  }
  return `${unit === 'bytes' ? amount : amount.toFixed(1)} ${unit}`;
}

/** `1 result`, `2 results`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
