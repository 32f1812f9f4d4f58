/** Bound on the names compared; the widest ServiceNow tables have a few hundred columns. */
const MAX_COMPARED_NAMES = 2_000;

const MAX_PROPOSALS = 3;

/** Names beyond this are not compared: the distance costs the product of the two lengths. */
const MAX_COMPARED_CHARS = 128;

/** Customers' own columns carry this prefix, and it is what people forget. */
const CUSTOM_PREFIX = 'u_';

/**
 * The names in `available` that `missing` was probably meant to be, nearest first, at most three. One edit in
 * three characters counts as near, case and the custom-column prefix count as nothing.
 */
export function nearNames(missing: string, available: Iterable<string>): string[] {
  if (missing.length > MAX_COMPARED_CHARS) return [];
  const wanted = essence(missing);
  const maxEdits = Math.max(1, Math.floor(wanted.length / 3));
  return [...new Set(available)]
    .slice(0, MAX_COMPARED_NAMES)
    .filter((name) => name !== missing && Math.abs(essence(name).length - wanted.length) <= maxEdits)
    .map((name) => ({ name, edits: editDistance(wanted, essence(name)) }))
    .filter(({ edits }) => edits <= maxEdits)
    .sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1))
    .slice(0, MAX_PROPOSALS)
    .map(({ name }) => name);
}

function essence(name: string): string {
  const lower = name.toLowerCase();
  return lower.startsWith(CUSTOM_PREFIX) ? lower.slice(CUSTOM_PREFIX.length) : lower;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      // Before the first letter there is none, which equals no letter.
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + cost,
          swapped ? at(beforeLast, column - 2) + 1 : Infinity,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
