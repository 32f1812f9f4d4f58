import { lineage } from '../records/schema.ts';
import { valueOf, type Row } from '../records/store.ts';
import type { UserView } from './accounts.ts';

/** Anybody who is logged in. */
const PUBLIC = '*';

/** Who may read the rows of a table; the nearest rule up the table's ancestors counts. */
const TABLE_READERS: Readonly<Record<string, readonly string[]>> = {
  task: ['itil'],
  change_request: ['itil', 'sn_change_read'],
  change_task: ['itil', 'sn_change_read'],
  incident: ['itil', 'sn_incident_read'],
  sys_user: ['itil', 'sn_change_read', 'sn_incident_read'],
  sys_user_group: ['itil', 'sn_change_read', 'sn_incident_read'],
  cmdb_ci: ['itil', 'sn_change_read', 'sn_incident_read'],
  u_paging: ['itil'],
  sys_choice: [PUBLIC],
  // Nobody but admin: such a table answers 200 with no rows, which looks like an empty one.
  u_confidential: [],
  sys_journal_field: [],
  sys_db_object: [],
};

/** Tables that are refused outright instead of looking empty. */
const REFUSED_TABLES: ReadonlySet<string> = new Set(['sys_db_object']);

/** Who may read a field, where that is fewer than may read the row. */
const FIELD_READERS: Readonly<Record<string, readonly string[]>> = {
  'change_request.u_security_review': ['itil'],
};

export function refusesTable(user: UserView, table: string): boolean {
  return REFUSED_TABLES.has(table) && !isAdmin(user);
}

export function canReadRow(user: UserView, row: Row): boolean {
  if (isAdmin(user)) return true;
  if (row.table === 'sys_user' && valueOf(row, 'sys_id') === user.sysId) return true;
  for (const { name } of lineage(row.table)) {
    const readers = TABLE_READERS[name];
    if (readers !== undefined) return admits(readers, user);
  }
  return false;
}

export function canReadField(user: UserView, table: string, field: string): boolean {
  if (isAdmin(user)) return true;
  for (const { name } of lineage(table)) {
    const readers = FIELD_READERS[`${name}.${field}`];
    if (readers !== undefined) return admits(readers, user);
  }
  return true;
}

function isAdmin(user: UserView): boolean {
  return user.roles.includes('admin');
}

function admits(readers: readonly string[], user: UserView): boolean {
  return readers.some((role) => role === PUBLIC || user.roles.includes(role));
}
