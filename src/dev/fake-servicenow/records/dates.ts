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

export const DEFAULT_DATE_FORMAT = 'yyyy-MM-dd';

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
}

/** How one user sees dates. Made once per request: an `Intl` formatter costs more than the value it formats. */
export function dateDisplay(timeZone: string, format: string): DateDisplay {
  const write = DATE_FORMATS[format] ?? DATE_FORMATS[DEFAULT_DATE_FORMAT];
  const zoned = new Intl.DateTimeFormat('en', {
    timeZone: timeZone === '' ? 'UTC' : timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  return {
    dateTime(stored) {
      if (!STORED_DATE_TIME.test(stored) || write === undefined) return stored;
      const instant = new Date(`${stored.replace(' ', 'T')}Z`);
      if (Number.isNaN(instant.getTime())) return stored;
      const part = new Map(zoned.formatToParts(instant).map(({ type, value }) => [type, value]));
      const get = (name: Intl.DateTimeFormatPartTypes): string => part.get(name) ?? '';
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
  };
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
