import { durationDisplay, type DateDisplay } from './dates.ts';
import { fieldOf, TABLES, type Field } from './schema.ts';
import { valueOf, type Records, type Row } from './store.ts';

/** What a person sees in place of the stored value. */
export function displayOf(records: Records, row: Row, field: Field, dates: DateDisplay): string {
  const stored = valueOf(row, field.name);
  switch (field.type) {
    case 'choice':
      return choiceLabel(row, field, stored);
    case 'glide_date_time':
      return dates.dateTime(stored);
    case 'glide_date':
      return dates.date(stored);
    case 'glide_duration':
      return durationDisplay(stored);
    case 'reference':
      return stored === '' ? '' : referencedName(records, field, stored);
    case 'glide_list':
      // A name with a comma makes this ambiguous, on a real instance too.
      return stored === ''
        ? ''
        : stored
            .split(',')
            .map((id) => referencedName(records, field, id))
            .join(', ');
    case 'journal':
      return records
        .notes(row, field.name)
        .map(
          (note) =>
            `${dates.dateTime(note.createdOn)} - ${note.author} (${noteLabel(row, note.element)})\n${note.text}\n\n`,
        )
        .join('');
    case 'sys_class_name':
      return TABLES.get(stored)?.label ?? stored;
    case 'string':
    case 'integer':
    case 'boolean':
      return stored;
  }
}

/** The row a reference points to; undefined when the field is empty or its target is gone. */
export function follow(records: Records, row: Row, field: Field): Row | undefined {
  const id = valueOf(row, field.name);
  return field.reference === undefined || id === '' ? undefined : records.get(field.reference, id);
}

function referencedName(records: Records, field: Field, id: string): string {
  const target = field.reference === undefined ? undefined : records.get(field.reference, id);
  const display = TABLES.get(field.reference ?? '')?.display;
  return target === undefined || display === undefined ? '' : valueOf(target, display);
}

function choiceLabel(row: Row, field: Field, stored: string): string {
  // Seen through a parent table, a row still shows the labels of its own class.
  const choices = fieldOf(row.table, field.name)?.choices ?? {};
  return Object.hasOwn(choices, stored) ? (choices[stored] ?? stored) : stored;
}

function noteLabel(row: Row, element: string): string {
  return fieldOf(row.table, element)?.label ?? element;
}
