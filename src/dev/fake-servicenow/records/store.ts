import { createHash } from 'node:crypto';
import type { Clock } from '../../../kit/time.ts';
import { misuse } from '../errors.ts';
import { toStored } from './dates.ts';
import { extendsTable, fieldOf, fieldsOf, TABLES, type Field } from './schema.ts';

/** One record. Everything is stored as a string, as the Table API shows it; a value never set reads as ''. */
export interface Row {
  /** The record's own class, which may extend the table it was found in. */
  readonly table: string;
  readonly values: Map<string, string>;
}

export function valueOf(row: Row, field: string): string {
  return row.values.get(field) ?? '';
}

/** 32 hexadecimal digits that are the same in every run, so that tests and notes can quote them. */
export function sysIdFor(table: string, key: string): string {
  return createHash('sha256').update(`${table}:${key}`).digest('hex').slice(0, 32);
}

export interface Note {
  readonly element: string;
  readonly createdOn: string;
  readonly author: string;
  readonly text: string;
}

/** The fields by which a person names a record when they don't know its sys_id. */
const NAMES = ['number', 'user_name', 'name'] as const;

/** All records of one instance. */
export class Records {
  readonly #tables = new Map<string, Map<string, Row>>();
  readonly #clock: Clock;
  #notes = 0;
  #newIds = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds a record; a journal field becomes its first note. Throws an `invalid-input` error on an unknown field. */
  insert(table: string, values: Readonly<Record<string, string>>): Row {
    const now = toStored(this.#clock.now());
    const key = values['number'] ?? values['user_name'] ?? values['name'] ?? '';
    const row: Row = {
      table,
      values: new Map(
        Object.entries({
          sys_id: sysIdFor(table, key),
          sys_created_on: now,
          sys_created_by: 'admin',
          sys_updated_on: now,
          sys_updated_by: 'admin',
          sys_mod_count: '0',
          ...values,
          sys_class_name: table,
        }),
      ),
    };
    for (const [name, value] of row.values) {
      if (requireField(table, name).type !== 'journal') continue;
      row.values.delete(name);
      this.#note(row, name, value, valueOf(row, 'sys_created_by'));
    }
    const rows = this.#tables.get(table) ?? new Map<string, Row>();
    this.#tables.set(table, rows);
    rows.set(valueOf(row, 'sys_id'), row);
    return row;
  }

  /** A sys_id for a record that is added without one; the same in every run, like the order of its requests. */
  newSysId(table: string): string {
    this.#newIds += 1;
    return sysIdFor(table, `new ${this.#newIds}`);
  }

  remove(row: Row): void {
    this.#tables.get(row.table)?.delete(valueOf(row, 'sys_id'));
  }

  /** The rows of a table and of every table that extends it. */
  in(table: string): Row[] {
    const found: Row[] = [];
    for (const [name, rows] of this.#tables) {
      if (extendsTable(name, table)) found.push(...rows.values());
    }
    return found;
  }

  get(table: string, sysId: string): Row | undefined {
    for (const [name, rows] of this.#tables) {
      const row = extendsTable(name, table) ? rows.get(sysId) : undefined;
      if (row !== undefined) return row;
    }
    return undefined;
  }

  find(table: string, field: string, value: string): Row | undefined {
    return this.in(table).find((row) => valueOf(row, field) === value);
  }

  /** By sys_id, number, user name or name. Throws an `invalid-input` error if there is none. */
  require(table: string, key: string): Row {
    const named = (row: Row): boolean => NAMES.some((name) => valueOf(row, name) === key);
    const row = TABLES.has(table) ? (this.get(table, key) ?? this.in(table).find(named)) : undefined;
    if (row !== undefined) return row;
    throw misuse(
      'fake-servicenow.unknown-record',
      `There is no ${table} record ${key} in the fake instance.`,
    );
  }

  /** Changes the named fields; a journal field gets one more note. Throws an `invalid-input` error on an unknown field. */
  update(row: Row, changes: Readonly<Record<string, string>>, by: string): void {
    for (const [name, value] of Object.entries(changes)) {
      if (requireField(row.table, name).type === 'journal') this.#note(row, name, value, by);
      else row.values.set(name, value);
    }
    row.values.set('sys_updated_on', toStored(this.#clock.now()));
    row.values.set('sys_updated_by', by);
    row.values.set('sys_mod_count', String(Number(valueOf(row, 'sys_mod_count')) + 1));
  }

  /** Newest first. `comments_and_work_notes` is both of its halves. */
  notes(row: Row, element: string): Note[] {
    const id = valueOf(row, 'sys_id');
    return this.in('sys_journal_field')
      .filter((entry) => valueOf(entry, 'element_id') === id)
      .filter((entry) => element === 'comments_and_work_notes' || valueOf(entry, 'element') === element)
      .map((entry) => ({
        element: valueOf(entry, 'element'),
        createdOn: valueOf(entry, 'sys_created_on'),
        author: valueOf(entry, 'sys_created_by'),
        text: valueOf(entry, 'value'),
      }))
      .toReversed();
  }

  /** Every value of one record by field name, as stored. */
  snapshot(row: Row): Record<string, string> {
    return Object.fromEntries(fieldsOf(row.table).map(({ name }) => [name, valueOf(row, name)]));
  }

  #note(row: Row, element: string, text: string, by: string): void {
    this.#notes += 1;
    this.insert('sys_journal_field', {
      sys_id: sysIdFor('sys_journal_field', String(this.#notes)),
      sys_created_by: by,
      element_id: valueOf(row, 'sys_id'),
      element,
      name: row.table,
      value: text,
    });
  }
}

function requireField(table: string, name: string): Field {
  const field = fieldOf(table, name);
  if (field !== undefined) return field;
  throw misuse('fake-servicenow.unknown-field', `Table ${table} of the fake instance has no field ${name}.`);
}
