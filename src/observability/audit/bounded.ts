import type { AuditEvent } from './events.ts';

/** Longest text in a record, in characters: what a manager has made up must not fill the disk. */
export const MAX_TEXT_CHARS = 500;
/** Longest list in a record: rules, secrets, hosts. */
const MAX_LIST = 50;

/** Without secrets, and of a size that has a bound. */
export type BoundedEvent = Readonly<Record<string, unknown>>;

/** The log's own words: a secret that happens to be one of them must not take a record's meaning away. */
const OWN_WORDS: ReadonlySet<string> = new Set(['event', 'of', 'outcome']);

/** @param scrub takes known secrets out of a text; goes before the cut, behind which half a secret is not found */
export function bounded(event: AuditEvent, scrub: (text: string) => string): BoundedEvent {
  const fit = (value: unknown): unknown => {
    if (typeof value === 'string') return cut(scrub(value));
    if (Array.isArray(value)) return value.slice(0, MAX_LIST).map(fit);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fit(member)]));
  };
  return Object.fromEntries(
    Object.entries(event).map(([key, value]) => [key, OWN_WORDS.has(key) ? value : fit(value)]),
  );
}

function cut(text: string): string {
  if (text.length <= MAX_TEXT_CHARS) return text.toWellFormed();
  return `${text.slice(0, MAX_TEXT_CHARS - 1).toWellFormed()}…`;
}
