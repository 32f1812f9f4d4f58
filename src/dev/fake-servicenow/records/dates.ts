/** Dates as they are stored: UTC without a zone mark, `yyyy-MM-dd HH:mm:ss`, or `yyyy-MM-dd` for a date alone. */

const STORED_DATE_TIME = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/;
const STORED_DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

export function toStored(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}

export function toStoredDate(epochMs: number): string {
  return toStored(epochMs).slice(0, 10);
}

/** The date formats that the seeded users have chosen, as `sys_user.date_format` names them. */
const DATE_FORMATS: Readonly<Record<string, (year: string, month: string, day: string) => string>> = {
  'yyyy-MM-dd': (year, month, day) => `${year}-${month}-${day}`,
  'dd-MM-yyyy': (year, month, day) => `${day}-${month}-${year}`,
  'MM/dd/yyyy': (year, month, day) => `${month}/${day}/${year}`,
};

const DEFAULT_DATE_FORMAT = 'yyyy-MM-dd';

export function isDateFormat(name: string): boolean {
  return Object.hasOwn(DATE_FORMATS, name);
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

export interface DateDisplay {
  dateTime(stored: string): string;
  date(stored: string): string;
  /** The way back, for values that a person typed: '' if it is no date in the user's format. */
  parseDateTime(shown: string): string;
  parseDate(shown: string): string;
}

/**
 * How one user sees dates. Made once per request, and its formatter with the first moment that is shown: an `Intl`
 * formatter costs more than the value it formats.
 */
export function dateDisplay(timeZone: string, format: string): DateDisplay {
  const write = DATE_FORMATS[format] ?? DATE_FORMATS[DEFAULT_DATE_FORMAT];
  const shownPattern = patternOf(isDateFormat(format) ? format : DEFAULT_DATE_FORMAT);
  let zoned: Intl.DateTimeFormat | undefined;
  const partsOf = (epochMs: number): ((name: Intl.DateTimeFormatPartTypes) => string) => {
    zoned ??= new Intl.DateTimeFormat('en', {
      timeZone: timeZone === '' ? 'UTC' : timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    const parts = new Map(zoned.formatToParts(epochMs).map(({ type, value }) => [type, value]));
    return (name) => parts.get(name) ?? '';
  };
  /** What the clock on the user's wall shows, as if that were UTC. */
  const wallOf = (epochMs: number): number => {
    const get = partsOf(epochMs);
    return Date.parse(
      `${get('year').padStart(4, '0')}-${get('month')}-${get('day')}T${get('hour')}:${get('minute')}:${get('second')}Z`,
    );
  };
  return {
    dateTime(stored) {
      if (!STORED_DATE_TIME.test(stored) || write === undefined) return stored;
      const instant = Date.parse(`${stored.replace(' ', 'T')}Z`);
      if (Number.isNaN(instant)) return stored;
      const get = partsOf(instant);
      const day = write(get('year').padStart(4, '0'), get('month'), get('day'));
      return `${day} ${get('hour')}:${get('minute')}:${get('second')}`;
    },
    // A day has no zone: shifting it would show the day before to everybody west of Greenwich.
    date(stored) {
      const [, year, month, day] = STORED_DATE.exec(stored) ?? [];
      if (year === undefined || month === undefined || day === undefined || write === undefined)
        return stored;
      return write(year, month, day);
    },
    parseDateTime(shown) {
      const { year, month, day, time } = shownPattern.exec(shown)?.groups ?? {};
      const wall = Date.parse(`${year}-${month}-${day}T${time ?? '00:00:00'}Z`);
      if (Number.isNaN(wall)) return '';
      // The offset of the wall time taken as UTC may be the one on the other side of a clock change: hence twice.
      const near = wall - (wallOf(wall) - wall);
      return toStored(wall - (wallOf(near) - near));
    },
    parseDate(shown) {
      const { year, month, day } = shownPattern.exec(shown)?.groups ?? {};
      return year === undefined ? '' : `${year}-${month}-${day}`;
    },
  };
}

/** A date in one of the formats, with or without a time. */
function patternOf(format: string): RegExp {
  const date = format
    .replace('yyyy', String.raw`(?<year>\d{4})`)
    .replace('MM', String.raw`(?<month>\d{2})`)
    .replace('dd', String.raw`(?<day>\d{2})`);
  return new RegExp(String.raw`^${date}(?: (?<time>\d{2}:\d{2}:\d{2}))?$`);
}

const DURATION_UNITS = [
  ['Day', 86_400],
  ['Hour', 3_600],
  ['Minute', 60],
  ['Second', 1],
] as const;

/** A duration is stored as an offset from the epoch: `1970-01-01 00:02:17` is two minutes and 17 seconds. */
export function durationDisplay(stored: string): string {
  if (!STORED_DATE_TIME.test(stored)) return stored;
  let seconds = Date.parse(`${stored.replace(' ', 'T')}Z`) / 1_000;
  const words: string[] = [];
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count > 0) words.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
  }
  return words.length === 0 ? '0 Seconds' : words.join(' ');
}
