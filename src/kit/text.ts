/**
 * A stranger's text, made fit for one line of an error: control characters and runs of space become one space,
 * and it is cut between words, because half a secret would no longer be found by whoever scrubs the text.
 * Undefined if nothing is left.
 */
export function boundedWords(text: string, maxChars: number): string | undefined {
  const clean = text.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  if (clean === '') return undefined;
  if (clean.length <= maxChars) return clean;
  return `${clean.slice(0, clean.lastIndexOf(' ', maxChars) + 1)}…`;
}
