/** A slip in every third letter: more, and it is another word. */
const LETTERS_PER_SLIP = 3;
/** What was typed may be anything, and as long. */
const MAX_WORD_CHARS = 64;

/** The known word that a misspelt one most likely stands for; undefined if none is near. */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  const typed = word.slice(0, MAX_WORD_CHARS).toLowerCase();
  let least = Math.floor(typed.length / LETTERS_PER_SLIP) + 1;
  for (const candidate of known) {
    const slips = slipsBetween(typed, candidate.toLowerCase());
    if (slips < least) [nearest, least] = [candidate, slips];
  }
  return nearest;
}

/** To be put behind a complaint: `; did you mean --capacity?`, or nothing. */
export function meant(word: string, known: Iterable<string>, prefix = ''): string {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? '' : `; did you mean ${prefix}${nearest}?`;
}

/** Letters to add, drop, replace or swap with their neighbour (optimal string alignment distance). */
function slipsBetween(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = (last[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const swapped = isSwap ? (beforeLast[column - 2] ?? Infinity) + 1 : Infinity;
      current.push(Math.min((current[column - 1] ?? 0) + 1, (last[column] ?? 0) + 1, replaced, swapped));
    }
    [beforeLast, last] = [last, current];
  }
  return last[b.length] ?? 0;
}
