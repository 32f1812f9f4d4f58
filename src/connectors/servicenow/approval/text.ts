/** ServiceNow writes an unset field as the empty string; people pad what they type. */
export function isBlank(text: string): boolean {
  return text.trim() === '';
}

/** At most `maxChars` UTF-16 units of the text, the last being "…" if something was cut off. */
export function clip(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  // A cut between the two halves of a surrogate pair would leave a string that UTF-8 can't carry.
  return `${text.slice(0, maxChars - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Bound on a value quoted inside a message. */
export const MAX_QUOTED_CHARS = 120;

/** The text as it is quoted in messages: one line, bounded. */
export function quoted(text: string): string {
  return JSON.stringify(clip(text, MAX_QUOTED_CHARS));
}
