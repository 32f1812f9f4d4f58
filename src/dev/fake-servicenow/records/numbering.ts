import { valueOf, type Records } from './store.ts';

/** What the numbers of a table begin with. */
const PREFIXES: Readonly<Record<string, string>> = {
  task: 'TASK',
  change_request: 'CHG',
  change_task: 'CTASK',
  incident: 'INC',
  problem: 'PRB',
  sc_task: 'SCTASK',
  u_demo_custom: 'GATE',
  u_paging: 'PAG',
  u_confidential: 'CONF',
};

const DIGITS = 7;

/** The number after the highest one; undefined for a table whose records have none. */
export function nextNumber(records: Records, table: string): string | undefined {
  const prefix = PREFIXES[table];
  if (prefix === undefined) return undefined;
  const taken = records
    .in(table)
    .map((row) => valueOf(row, 'number'))
    .filter((number) => number.startsWith(prefix))
    .map((number) => Number(number.slice(prefix.length)))
    .filter((count) => Number.isSafeInteger(count));
  return prefix + String(taken.reduce((a, b) => Math.max(a, b), 0) + 1).padStart(DIGITS, '0');
}
