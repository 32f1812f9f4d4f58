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

/** Who may add and change the rows of a table, found like its readers. Only `admin` deletes. */
const TABLE_WRITERS: Readonly<Record<string, readonly string[]>> = {
  task: ['itil'],
  change_request: ['itil', 'sn_change_write'],
  change_task: ['itil', 'sn_change_write'],
};

/** Tables that are refused outright instead of looking empty. */
const REFUSED_TABLES: ReadonlySet<string> = new Set(['sys_db_object']);

/** Who may read a field, where that is fewer than may read the row. */
const FIELD_READERS: Readonly<Record<string, readonly string[]>> = {
  'change_request.u_security_review': ['itil'],
};

/** Who may set a field, where that is fewer than may change the row. */
const FIELD_WRITERS: Readonly<Record<string, readonly string[]>> = {
  'change_request.u_security_review': [],
};

export function refusesTable(user: UserView, table: string): boolean {
  return REFUSED_TABLES.has(table) && !isAdmin(user);
}

export function canReadRow(user: UserView, row: Row): boolean {
  const isSelf = row.table === 'sys_user' && valueOf(row, 'sys_id') === user.sysId;
  return isSelf || canReadTable(user, row.table);
}

export function canReadTable(user: UserView, table: string): boolean {
  return isAllowed(user, table, TABLE_READERS);
}

export function canWriteTable(user: UserView, table: string): boolean {
  return isAllowed(user, table, TABLE_WRITERS);
}

export function canDelete(user: UserView): boolean {
  return isAdmin(user);
}

export function canReadField(user: UserView, table: string, field: string): boolean {
  return isAllowed(user, table, FIELD_READERS, field);
}

export function canWriteField(user: UserView, table: string, field: string): boolean {
  return isAllowed(user, table, FIELD_WRITERS, field);
}

/** By the nearest rule up the table's ancestors. Without one, a table is closed and a field of an open row is open. */
function isAllowed(
  user: UserView,
  table: string,
  rules: Readonly<Record<string, readonly string[]>>,
  field?: string,
): boolean {
  if (isAdmin(user)) return true;
  for (const { name } of lineage(table)) {
    const roles = rules[field === undefined ? name : `${name}.${field}`];
    if (roles !== undefined) return admits(roles, user);
  }
  return field !== undefined;
}

function isAdmin(user: UserView): boolean {
  return user.roles.includes('admin');
}

function admits(readers: readonly string[], user: UserView): boolean {
  return readers.some((role) => role === PUBLIC || user.roles.includes(role));
}
