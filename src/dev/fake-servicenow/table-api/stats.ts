import { canReadTable } from '../access/acl.ts';
import {
  countForbidden,
  invalidLimit,
  invalidTable,
  methodNotAllowed,
  noAggregate,
} from '../http/failures.ts';
import { json, type Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';
import { fieldOf, TABLES } from '../records/schema.ts';
import { valueOf, type Row } from '../records/store.ts';
import type { ApiContext } from './context.ts';
import { readParameters } from './parameters.ts';
import { matchingRows } from './read.ts';

const VERBS = ['GET', 'HEAD'];

/** The Aggregate API as far as it counts, all rows or by groups. A table that may not be read is refused outright. */
export function answerStats(request: ReceivedRequest, table: string, context: ApiContext): Reply {
  if (!VERBS.includes(request.verb)) return methodNotAllowed(VERBS);
  if (!TABLES.has(table)) return invalidTable(table);
  if (!canReadTable(context.user, table)) return countForbidden(table);
  const parameters = readParameters(request.search);
  if (parameters === undefined) return invalidLimit();
  if (request.search.get('sysparm_count') !== 'true') return noAggregate();

  const rows = matchingRows(table, parameters, context);
  const fields = (request.search.get('sysparm_group_by') ?? '')
    .split(',')
    .filter((name) => fieldOf(table, name) !== undefined);
  if (fields.length === 0) return json(200, { result: countOf(rows) });
  const result = [...grouped(rows, fields).values()].map((members) => ({
    ...countOf(members),
    groupby_fields: fields.map((field) => ({ field, value: valueIn(members, field) })),
  }));
  return json(200, { result });
}

function countOf(rows: readonly Row[]): { stats: { count: string } } {
  return { stats: { count: String(rows.length) } };
}

function grouped(rows: readonly Row[], fields: readonly string[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = JSON.stringify(fields.map((field) => valueOf(row, field)));
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return groups;
}

/** The same in all of them: that is what they were grouped by. */
function valueIn([first]: readonly Row[], field: string): string {
  return first === undefined ? '' : valueOf(first, field);
}
