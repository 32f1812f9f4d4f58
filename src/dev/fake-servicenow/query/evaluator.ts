import type { DateDisplay } from '../records/dates.ts';
import { displayOf, follow } from '../records/display.ts';
import { resolvePath, type Field } from '../records/schema.ts';
import { valueOf, type Records, type Row } from '../records/store.ts';
import type { Query, SortKey, Term } from './parser.ts';

/** What an evaluation needs to know besides the query and the row. */
export interface Surroundings {
  readonly records: Records;
  readonly dates: DateDisplay;
  readonly fold: (value: string) => string;
}

export function matches(query: Query, row: Row, around: Surroundings): boolean {
  return query.branches.some((branch) =>
    branch.every((group) => group.some((term) => holds(term, row, around))),
  );
}

/** Sorts in place. Rows with equal keys stay in the order in which they came. */
export function sortRows(rows: Row[], keys: readonly SortKey[], around: Surroundings): void {
  if (keys.length === 0) return;
  const keyed = rows.map((row) => ({
    row,
    values: keys.map(({ path }) => {
      const end = walk(row, path, around.records);
      return end === undefined ? '' : textOf(end.row, end.field, around);
    }),
  }));
  keyed.sort((a, b) => {
    for (const [index, { path, descending }] of keys.entries()) {
      const difference = collate(
        a.values[index] ?? '',
        b.values[index] ?? '',
        path.at(-1)?.type === 'integer',
      );
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  });
  for (const [index, { row }] of keyed.entries()) rows[index] = row;
}

/** The row and field at the end of a dotted name; undefined when a reference on the way is empty. */
export function walk(
  row: Row,
  path: readonly Field[],
  records: Records,
): { row: Row; field: Field } | undefined {
  const last = path.at(-1);
  let at: Row | undefined = row;
  for (const step of path.slice(0, -1)) at = at === undefined ? undefined : follow(records, at, step);
  return at === undefined || last === undefined ? undefined : { row: at, field: last };
}

function holds({ path, operator, given }: Term, row: Row, around: Surroundings): boolean {
  const end = walk(row, path, around.records);
  const field = path.at(-1);
  const stored = end === undefined ? '' : valueOf(end.row, end.field.name);
  return operator.holds(
    {
      stored,
      text: end === undefined ? '' : textOf(end.row, end.field, around),
      numeric: field?.type === 'integer' || (field?.type === 'choice' && isNumeric(stored)),
      other: (name) => {
        const other = walk(row, resolvePath(row.table, name) ?? [], around.records);
        return other === undefined ? undefined : valueOf(other.row, other.field.name);
      },
      fold: around.fold,
    },
    given,
  );
}

function isNumeric(stored: string): boolean {
  return stored !== '' && !Number.isNaN(Number(stored));
}

function textOf(row: Row, field: Field, { records, dates }: Surroundings): string {
  return field.type === 'reference' ? displayOf(records, row, field, dates) : valueOf(row, field.name);
}

function collate(a: string, b: string, numeric: boolean): number {
  if (numeric && isNumeric(a) && isNumeric(b)) return Number(a) - Number(b);
  return a < b ? -1 : Number(a > b);
}
