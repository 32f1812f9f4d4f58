/**
 * The only form in which ServiceNow stores a point in time: UTC without a mark, `yyyy-MM-dd HH:mm:ss`, or
 * `yyyy-MM-dd` in date-only fields. Display values follow the calling user's zone and format, so no date is ever
 * read from one.
 */
export interface UtcInstant {
  /** Milliseconds since the epoch; of a day, its first. */
  readonly epochMs: number;
  readonly precision: 'second' | 'day';
}

export const DAY_MS = 86_400_000;

/** The last instant that this form and RFC 3339 can write; `9999-12-31` is how people say "no end". */
export const LAST_UTC_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

const UTC_DATE = /^(\d{4}-\d{2}-\d{2})(?: (\d{2}:\d{2}:\d{2}))?$/;

/** Undefined if the text has another form or names a day or time that does not exist (`2026-02-30`). */
export function parseUtc(text: string): UtcInstant | undefined {
  const match = UTC_DATE.exec(text);
  if (match === null) return undefined;
  const [, day = '', time = '00:00:00'] = match;
  const epochMs = Date.parse(`${day}T${time}Z`);
  // V8 accepts 24:00:00 and, for some months, days past the last; what it made of them reads differently.
  if (Number.isNaN(epochMs) || formatUtc(epochMs) !== `${day} ${time}`) return undefined;
  return { epochMs, precision: match[2] === undefined ? 'day' : 'second' };
}

/** `yyyy-MM-dd HH:mm:ss` in UTC. */
export function formatUtc(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}
