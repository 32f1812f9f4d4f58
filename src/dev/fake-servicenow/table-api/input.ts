import { canWriteField } from '../access/acl.ts';
import type { UserView } from '../access/accounts.ts';
import type { DateDisplay } from '../records/dates.ts';
import { fieldOf, TABLES, type Field } from '../records/schema.ts';
import { valueOf, type Records } from '../records/store.ts';

/** What the instance alone writes. */
const SYSTEM_WRITTEN: ReadonlySet<string> = new Set([
  'sys_id',
  'sys_created_on',
  'sys_created_by',
  'sys_updated_on',
  'sys_updated_by',
  'sys_mod_count',
  'sys_class_name',
]);

export interface InputView {
  readonly records: Records;
  readonly user: UserView;
  readonly dates: DateDisplay;
  /** `sysparm_input_display_value`: the values are what a person would type. */
  readonly fromDisplay: boolean;
}

/**
 * The values as they will be stored. Unknown fields and those that the user may not set are dropped without a word,
 * as on a real instance: the answer alone shows what became of them.
 */
export function storedValues(
  table: string,
  sent: Readonly<Record<string, string>>,
  view: InputView,
): Record<string, string> {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(sent)) {
    const field = fieldOf(table, name);
    if (field === undefined || SYSTEM_WRITTEN.has(name) || !canWriteField(view.user, table, name)) continue;
    entries.push([name, view.fromDisplay && value !== '' ? fromDisplay(field, value, view) : value]);
  }
  return Object.fromEntries(entries);
}

function fromDisplay(field: Field, shown: string, { records, dates }: InputView): string {
  switch (field.type) {
    case 'choice':
      return Object.entries(field.choices ?? {}).find(([, label]) => label === shown)?.[0] ?? shown;
    case 'reference':
      return referenced(records, field, shown);
    case 'glide_list':
      return shown
        .split(',')
        .map((name) => referenced(records, field, name.trim()))
        .join(',');
    case 'glide_date_time':
      return dates.parseDateTime(shown);
    case 'glide_date':
      return dates.parseDate(shown);
    case 'string':
    case 'integer':
    case 'boolean':
    case 'glide_duration':
    case 'journal':
    case 'sys_class_name':
      return shown;
  }
}

/** The record of that display value; a sys_id, or a name that nobody has, stays as it is. */
function referenced(records: Records, { reference }: Field, shown: string): string {
  const display = TABLES.get(reference ?? '')?.display;
  if (reference === undefined || display === undefined) return shown;
  const found = records.find(reference, display, shown);
  return found === undefined ? shown : valueOf(found, 'sys_id');
}
