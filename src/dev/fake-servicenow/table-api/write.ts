import { canDelete, canReadRow, canWriteTable } from '../access/acl.ts';
import { duplicateKey, noRecord, writeForbidden } from '../http/failures.ts';
import { addHeader, json, type Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';
import { dateDisplay } from '../records/dates.ts';
import { valueOf, type Row } from '../records/store.ts';
import type { ApiContext } from './context.ts';
import { storedValues } from './input.ts';
import type { ReadParameters } from './parameters.ts';
import { viewpoint } from './read.ts';
import { consequencesOf, defaultsOf } from './rules.ts';
import { shapeRow } from './shape.ts';

interface Insert {
  readonly table: string;
  readonly values: Readonly<Record<string, string>>;
  readonly parameters: ReadParameters;
}

interface Update extends Insert {
  readonly sysId: string;
}

/** Adds one record. A `sys_id` of the client's own choice is kept: the only handle it has on a repetition. */
export function insertRecord(
  request: ReceivedRequest,
  { table, values, parameters }: Insert,
  context: ApiContext,
): Reply {
  const { records, user, nowMs, origin } = context;
  if (!canWriteTable(user, table)) return writeForbidden('Insert');
  const chosen = values['sys_id'] ?? '';
  if (chosen !== '' && records.get(table, chosen) !== undefined) return duplicateKey();
  const initial = {
    ...defaultsOf(table, records, user, nowMs),
    ...storedValues(table, values, inputView(parameters, context)),
  };
  const row = records.insert(table, {
    sys_id: chosen === '' ? records.newSysId(table) : chosen,
    sys_created_by: user.userName,
    sys_updated_by: user.userName,
    ...initial,
    ...consequencesOf(table, initial, initial),
  });
  const location = `${origin}${request.path.replace(/\/$/, '')}/${valueOf(row, 'sys_id')}`;
  return addHeader(written(request, 201, row, parameters, context), 'Location', location);
}

/** Changes the fields that were sent. PUT is no different from PATCH, and neither creates a record. */
export function updateRecord(
  request: ReceivedRequest,
  { table, sysId, values, parameters }: Update,
  context: ApiContext,
): Reply {
  const { records, user } = context;
  const row = readable(table, sysId, context);
  if (row === undefined) return noRecord();
  if (!canWriteTable(user, row.table)) return writeForbidden('Update');
  const changes = storedValues(row.table, values, inputView(parameters, context));
  if (Object.keys(changes).length > 0) {
    const follows = consequencesOf(row.table, changes, { ...records.snapshot(row), ...changes });
    records.update(row, { ...changes, ...follows }, user.userName);
  }
  return written(request, request.headers[NO_BODY_HEADER] === 'true' ? 204 : 200, row, parameters, context);
}

export function deleteRecord(table: string, sysId: string, context: ApiContext): Reply {
  const row = readable(table, sysId, context);
  if (row === undefined) return noRecord();
  if (!canDelete(context.user)) return writeForbidden('Delete');
  context.records.remove(row);
  return { ...json(204, undefined), body: '' };
}

const NO_BODY_HEADER = 'x-no-response-body';

function readable(table: string, sysId: string, { records, user }: ApiContext): Row | undefined {
  const row = records.get(table, sysId);
  return row !== undefined && canReadRow(user, row) ? row : undefined;
}

function inputView(
  parameters: ReadParameters,
  { records, user }: ApiContext,
): Parameters<typeof storedValues>[2] {
  const dates = dateDisplay(user.timeZone, user.dateFormat);
  return { records, user, dates, fromDisplay: parameters.inputDisplay };
}

/** The record as it stands after the write, unless the client doesn't want to see it. */
function written(
  request: ReceivedRequest,
  status: number,
  row: Row,
  parameters: ReadParameters,
  context: ApiContext,
): Reply {
  const reply = json(status, {
    result: shapeRow(row, viewpoint(parameters, { hidden: new Set() }, context)),
  });
  return request.headers[NO_BODY_HEADER] === 'true' ? { ...reply, body: '' } : reply;
}
