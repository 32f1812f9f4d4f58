import type { UserView } from '../access/accounts.ts';
import { toStored } from '../records/dates.ts';
import { nextNumber } from '../records/numbering.ts';
import { extendsTable, fieldOf } from '../records/schema.ts';
import type { Records } from '../records/store.ts';

type Values = Readonly<Record<string, string>>;

/** What a new record has that nobody sent: its number, and for a ticket where it stands and who opened it. */
export function defaultsOf(table: string, records: Records, user: UserView, nowMs: number): Values {
  const number = nextNumber(records, table);
  return {
    ...(number === undefined ? {} : { number }),
    ...(extendsTable(table, 'task') ? ticketDefaults(table, user, nowMs) : {}),
    ...(table === 'incident' ? { category: 'inquiry' } : {}),
    ...(table === 'change_request' ? { type: 'normal', on_hold: 'false', conflict_status: 'Not Run' } : {}),
  };
}

function ticketDefaults(table: string, user: UserView, nowMs: number): Values {
  return {
    state: FIRST_STATES[table] ?? '1',
    active: 'true',
    approval: 'not requested',
    impact: '3',
    urgency: '3',
    priority: '4',
    reassignment_count: '0',
    opened_by: user.sysId,
    opened_at: toStored(nowMs),
  };
}

/** Where a ticket begins, in tables that do not begin at 1. */
const FIRST_STATES: Readonly<Record<string, string>> = {
  change_request: '-5',
  change_task: '-5',
  problem: '101',
};

/** What follows from a write: the priority of an incident, from the impact and urgency it then has. */
export function consequencesOf(table: string, written: Values, record: Values): Values {
  if (table !== 'incident' || !('impact' in written || 'urgency' in written)) return {};
  const [impact, urgency] = [Number(record['impact']), Number(record['urgency'])];
  const priority = String(impact + urgency - 1);
  return Object.hasOwn(fieldOf(table, 'priority')?.choices ?? {}, priority) ? { priority } : {};
}
