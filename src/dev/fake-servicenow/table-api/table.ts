import { refusesTable } from '../access/acl.ts';
import {
  invalidLimit,
  invalidTable,
  methodNotAllowed,
  notAcceptable,
  tableForbidden,
} from '../http/failures.ts';
import type { Reply } from '../http/reply.ts';
import type { ReceivedRequest, Route } from '../http/request.ts';
import { TABLES } from '../records/schema.ts';
import { readRecordBody } from './body.ts';
import type { ApiContext } from './context.ts';
import { readParameters } from './parameters.ts';
import { readList, readOne } from './read.ts';
import { deleteRecord, insertRecord, updateRecord } from './write.ts';

type TableRoute = Extract<Route, { to: 'table' }>;

/** Answers as the Table API does, in its order: method, media types, body, table, parameters, then the operation. */
export function answerTable(request: ReceivedRequest, route: TableRoute, context: ApiContext): Reply {
  const verbs = route.sysId === undefined ? LIST_VERBS : RECORD_VERBS;
  if (!verbs.includes(request.verb)) return methodNotAllowed(verbs);
  if (!acceptsJson(request.headers.accept)) return notAcceptable();
  const { values = {}, refusal } = BODY_VERBS.has(request.verb) ? readRecordBody(request) : {};
  if (refusal !== undefined) return refusal;
  if (!TABLES.has(route.table)) return invalidTable(route.table);
  if (refusesTable(context.user, route.table)) return tableForbidden(route.table);
  const parameters = readParameters(request.search);
  if (parameters === undefined) return invalidLimit();

  const { table, sysId } = route;
  if (sysId === undefined) {
    return request.verb === 'POST'
      ? insertRecord(request, { table, values, parameters }, context)
      : readList(request, route, parameters, context);
  }
  if (request.verb === 'DELETE') return deleteRecord(table, sysId, context);
  return BODY_VERBS.has(request.verb)
    ? updateRecord(request, { table, sysId, values, parameters }, context)
    : readOne(table, sysId, parameters, context);
}

const LIST_VERBS = ['GET', 'HEAD', 'POST'];
const RECORD_VERBS = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'];
const BODY_VERBS: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

function acceptsJson(accept: string | undefined): boolean {
  return accept === undefined || /application\/(json|\*)|\*\/\*/.test(accept);
}
