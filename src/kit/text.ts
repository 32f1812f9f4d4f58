/**
 * How much of a text is looked at, in multiples of what may be kept: white space shrinks, and a text of many
 * megabytes costs no more than a short one.
 */
const READ_PER_KEPT_CHAR = 8;

/**
 * A stranger's text, made fit for one line of an error: control characters and runs of space become one space,
 * and a longer one is cut between words. Undefined if nothing is left.
 *
 * The caller scrubs the text first: a secret that has been cut or whose white space has changed may no longer
 * be found.
 */
export function boundedWords(text: string, maxChars: number): string | undefined {
  const read = text.slice(0, maxChars * READ_PER_KEPT_CHAR);
  const clean = read.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  if (clean === '') return undefined;
  if (clean.length <= maxChars && read.length === text.length) return clean;
  return `${clean.slice(0, clean.lastIndexOf(' ', maxChars) + 1)}…`;
}
