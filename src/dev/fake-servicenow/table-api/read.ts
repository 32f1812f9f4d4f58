import { canReadRow, refusesTable } from '../access/acl.ts';
import type { UserView } from '../access/accounts.ts';
import {
  invalidLimit,
  invalidTable,
  noMatch,
  noRecord,
  notAcceptable,
  tableForbidden,
  writesUnsupported,
} from '../http/failures.ts';
import { json, type Reply } from '../http/reply.ts';
import type { ReceivedRequest, Route } from '../http/request.ts';
import type { Profile } from '../profile.ts';
import { select } from '../query/select.ts';
import { dateDisplay } from '../records/dates.ts';
import { TABLES } from '../records/schema.ts';
import type { Records, Row } from '../records/store.ts';
import { linkHeader } from './link-header.ts';
import { readParameters, type ReadParameters } from './parameters.ts';
import { shapeRow, type Viewpoint } from './shape.ts';

/** The rows of one answer before they are shaped, and the fields that nobody gets to see. A fault may change both. */
export interface Reading {
  readonly rows: readonly Row[];
  readonly hidden: ReadonlySet<string>;
}

export interface ReadContext {
  readonly records: Records;
  readonly user: UserView;
  readonly profile: Profile;
  readonly origin: string;
  /** Counts requests; seeds the order in which unordered rows come. */
  readonly sequence: number;
  readonly tamper: (reading: Reading) => Reading;
}

type TableRoute = Extract<Route, { to: 'table' }>;

/** Reads as the Table API does, in its order: method, media type, table, parameters, query, page, row and field rules. */
export function readTable(request: ReceivedRequest, route: TableRoute, context: ReadContext): Reply {
  if (request.method !== 'GET' && request.method !== 'HEAD') return writesUnsupported();
  if (!acceptsJson(request.headers.accept)) return notAcceptable();
  if (!TABLES.has(route.table)) return invalidTable(route.table);
  if (refusesTable(context.user, route.table)) return tableForbidden(route.table);
  const parameters = readParameters(request.search);
  if (parameters === undefined) return invalidLimit();
  return route.sysId === undefined
    ? readList(request, route, parameters, context)
    : readOne(route.table, route.sysId, parameters, context);
}

function readOne(table: string, sysId: string, parameters: ReadParameters, context: ReadContext): Reply {
  const found = context.records.get(table, sysId);
  const rows = found !== undefined && canReadRow(context.user, found) ? [found] : [];
  const reading = context.tamper({ rows, hidden: new Set() });
  const [row] = reading.rows;
  return row === undefined
    ? noRecord()
    : json(200, { result: shapeRow(row, viewpoint(parameters, reading, context)) });
}

function readList(
  request: ReceivedRequest,
  route: TableRoute,
  parameters: ReadParameters,
  context: ReadContext,
): Reply {
  const { records, user, profile } = context;
  const dates = dateDisplay(user.timeZone, user.dateFormat);
  const all = select(
    {
      table: route.table,
      query: parameters.query,
      named: parameters.named,
      policy: profile.unknownFieldPolicy,
      evaluate: (script) => SCRIPTS[script]?.(user),
      shuffleSeed: context.sequence,
    },
    {
      records,
      dates,
      fold: profile.valueCase === 'sensitive' ? (value) => value : (value) => value.toLowerCase(),
    },
  );
  // The page is cut before the rows are checked, so a page can be short, even empty, with more to come.
  const page = all.slice(parameters.offset, parameters.offset + parameters.limit);
  const reading = context.tamper({ rows: page.filter((row) => canReadRow(user, row)), hidden: new Set() });
  if (reading.rows.length === 0 && route.version === 'v1' && profile.emptyList === 'v1-404') return noMatch();

  const view = viewpoint(parameters, reading, context);
  const total = parameters.noCount ? undefined : all.length;
  const link = linkHeader({
    address: `${context.origin}${request.path}`,
    search: request.search,
    limit: parameters.limit,
    offset: parameters.offset,
    total,
    pageIsFull: page.length === parameters.limit,
  });
  return json(200, { result: reading.rows.map((row) => shapeRow(row, view)) }, [
    ['X-Total-Count', String(total ?? reading.rows.length)],
    ...(parameters.suppressLink ? [] : [['Link', link] as const]),
  ]);
}

function viewpoint(parameters: ReadParameters, reading: Reading, context: ReadContext): Viewpoint {
  const { records, user, origin } = context;
  const dates = dateDisplay(user.timeZone, user.dateFormat);
  return { records, user, dates, origin, parameters, hidden: reading.hidden };
}

/** The server-side scripts that are understood as a value. */
const SCRIPTS: Readonly<Record<string, (user: UserView) => string>> = {
  'gs.getUserID()': ({ sysId }) => sysId,
  'gs.getUserName()': ({ userName }) => userName,
};

function acceptsJson(accept: string | undefined): boolean {
  return accept === undefined || /application\/(json|\*)|\*\/\*/.test(accept);
}
