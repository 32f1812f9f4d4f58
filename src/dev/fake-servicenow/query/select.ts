import type { Profile } from '../profile.ts';
import { displayOf, follow } from '../records/display.ts';
import { fieldOf, type Field } from '../records/schema.ts';
import { valueOf, type Row } from '../records/store.ts';
import { matches, sortRows, type Surroundings } from './evaluator.ts';
import { parseQuery, type EvaluateScript } from './parser.ts';

export interface Selection {
  readonly table: string;
  readonly query: string;
  /** `field=value` pairs from the URL, taken only when there is no encoded query. */
  readonly named: readonly (readonly [field: string, value: string])[];
  readonly policy: Profile['unknownFieldPolicy'];
  readonly evaluate: EvaluateScript;
  /** Tells one request from the next: rows whose order nobody asked for come in another order each time. */
  readonly shuffleSeed: number;
}

/** Every matching row in order, before any limit and any access rule. */
export function select(selection: Selection, around: Surroundings): Row[] {
  const { table, query: text, named } = selection;
  const query = parseQuery(text, table, selection.evaluate);
  const pairs = text === '' ? named.map(([name, value]) => ({ field: fieldOf(table, name), value })) : [];
  const unread = query.unread.length > 0 || pairs.some(({ field }) => field === undefined);
  if (unread && selection.policy === 'none') return [];

  const rows = around.records.in(table).filter((row) => {
    const accepts = pairs.every(({ field, value }) => {
      if (field === undefined) return true;
      return (
        around.fold(valueOf(row, field.name)) === around.fold(value) ||
        namesOf(row, field, around).some((name) => name.toLowerCase() === value.toLowerCase())
      );
    });
    return accepts && matches(query, row, around);
  });
  shuffle(rows, selection.shuffleSeed);
  sortRows(rows, query.order, around);
  return rows;
}

/** What a person would call the value: this older form takes that as well as what is stored, in any case. */
function namesOf(row: Row, field: Field, { records, dates }: Surroundings): string[] {
  const shown = displayOf(records, row, field, dates);
  const target = field.reference === 'sys_user' ? follow(records, row, field) : undefined;
  return target === undefined ? [shown] : [shown, valueOf(target, 'user_name')];
}

/** Fisher-Yates with a small generator (mulberry32): another order for each seed, the same in every run. */
function shuffle(rows: Row[], seed: number): void {
  let state = seed >>> 0;
  const below = (bound: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
  for (let index = rows.length - 1; index > 0; index -= 1) {
    const other = below(index + 1);
    const [a, b] = [rows[index], rows[other]];
    if (a === undefined || b === undefined) continue;
    rows[index] = b;
    rows[other] = a;
  }
}
