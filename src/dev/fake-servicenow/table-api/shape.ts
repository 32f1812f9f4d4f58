import { canReadField, canReadRow } from '../access/acl.ts';
import type { UserView } from '../access/accounts.ts';
import type { DateDisplay } from '../records/dates.ts';
import { displayOf, follow } from '../records/display.ts';
import { fieldsOf, resolvePath, type Field } from '../records/schema.ts';
import { valueOf, type Records, type Row } from '../records/store.ts';
import type { ReadParameters } from './parameters.ts';

/** A value in a row. Scalars are always strings; there is no null and no number in the Table API. */
type Shaped = string | Readonly<Record<string, string>>;

export interface Viewpoint {
  readonly records: Records;
  readonly user: UserView;
  readonly dates: DateDisplay;
  /** Origin of the links inside references. */
  readonly origin: string;
  readonly parameters: Pick<ReadParameters, 'display' | 'excludeLink' | 'fields'>;
  /** Fields that a fault keeps from the reader. */
  readonly hidden: ReadonlySet<string>;
}

/** A row as the reader may see it: unknown and unreadable fields are left out, not null. */
export function shapeRow(row: Row, view: Viewpoint): Record<string, Shaped> {
  const names = view.parameters.fields ?? fieldsOf(row.table).map(({ name }) => name);
  const entries: [string, Shaped][] = [];
  for (const name of names) {
    const path = view.hidden.has(name) ? undefined : resolvePath(row.table, name);
    const shaped = path === undefined ? undefined : shapePath(row, path, view);
    if (shaped !== undefined) entries.push([name, shaped]);
  }
  return Object.fromEntries(entries);
}

function shapePath(row: Row, path: readonly Field[], view: Viewpoint): Shaped | undefined {
  let at = row;
  for (const [index, field] of path.entries()) {
    if (!canReadField(view.user, at.table, field.name)) return undefined;
    if (index === path.length - 1) return shapeValue(at, field, view);
    const next = follow(view.records, at, field);
    if (next === undefined) return empty(view);
    if (!canReadRow(view.user, next)) return undefined;
    at = next;
  }
  return undefined;
}

function shapeValue(row: Row, field: Field, view: Viewpoint): Shaped {
  const { display, excludeLink } = view.parameters;
  // A journal has no stored value of its own: only its display form, made of the notes, can be read.
  const stored = field.type === 'journal' ? '' : valueOf(row, field.name);
  if (field.type === 'reference' && stored === '') return empty(view);
  const linked = field.type === 'reference' && !excludeLink;
  const link = linked ? { link: `${view.origin}/api/now/table/${field.reference ?? ''}/${stored}` } : {};
  if (display === 'false') return linked ? { ...link, value: stored } : stored;
  const shown = displayOf(view.records, row, field, view.dates);
  if (display === 'all') return { display_value: shown, value: stored, ...link };
  return linked ? { display_value: shown, ...link } : shown;
}

/** An empty reference is an empty string where a set one is an object. */
function empty(view: Viewpoint): Shaped {
  return view.parameters.display === 'all' ? { display_value: '', value: '' } : '';
}
