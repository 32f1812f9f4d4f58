import { canReadRow } from '../access/acl.ts';
import type { UserView } from '../access/accounts.ts';
import { noMatch, noRecord } from '../http/failures.ts';
import { json, type Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';
import { select } from '../query/select.ts';
import { dateDisplay } from '../records/dates.ts';
import type { Row } from '../records/store.ts';
import type { ApiContext, Reading } from './context.ts';
import { linkHeader } from './link-header.ts';
import type { ReadParameters } from './parameters.ts';
import { shapeRow, type Viewpoint } from './shape.ts';

export type { Reading } from './context.ts';

/** One record, as far as the user may see it. */
export function readOne(
  table: string,
  sysId: string,
  parameters: ReadParameters,
  context: ApiContext,
): Reply {
  const found = context.records.get(table, sysId);
  const rows = found !== undefined && canReadRow(context.user, found) ? [found] : [];
  const reading = context.tamper({ rows, hidden: new Set() });
  const [row] = reading.rows;
  return row === undefined
    ? noRecord()
    : json(200, { result: shapeRow(row, viewpoint(parameters, reading, context)) });
}

/** A page of a list, in the API's order: parameters, query, page, row and field rules. */
export function readList(
  request: ReceivedRequest,
  from: { readonly table: string; readonly version: 'v1' | 'v2' | undefined },
  parameters: ReadParameters,
  context: ApiContext,
): Reply {
  const { user, profile } = context;
  const all = matchingRows(from.table, parameters, context);
  // The page is cut before the rows are checked, so a page can be short, even empty, with more to come.
  const page = all.slice(parameters.offset, parameters.offset + parameters.limit);
  const reading = context.tamper({ rows: page.filter((row) => canReadRow(user, row)), hidden: new Set() });
  if (reading.rows.length === 0 && from.version === 'v1' && profile.emptyList === 'v1-404') return noMatch();

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

/** Every row that the query matches, whoever may read it. */
export function matchingRows(
  table: string,
  { query, named }: Pick<ReadParameters, 'query' | 'named'>,
  { records, user, profile, sequence }: ApiContext,
): Row[] {
  return select(
    {
      table,
      query,
      named,
      policy: profile.unknownFieldPolicy,
      evaluate: (script) => SCRIPTS[script]?.(user),
      shuffleSeed: sequence,
    },
    {
      records,
      dates: dateDisplay(user.timeZone, user.dateFormat),
      fold: profile.valueCase === 'sensitive' ? (value) => value : (value) => value.toLowerCase(),
    },
  );
}

export function viewpoint(
  parameters: ReadParameters,
  { hidden }: Pick<Reading, 'hidden'>,
  { records, user, origin }: ApiContext,
): Viewpoint {
  const dates = dateDisplay(user.timeZone, user.dateFormat);
  return { records, user, dates, origin, parameters, hidden };
}

/** The server-side scripts that are understood as a value. */
const SCRIPTS: Readonly<Record<string, (user: UserView) => string>> = {
  'gs.getUserID()': ({ sysId }) => sysId,
  'gs.getUserName()': ({ userName }) => userName,
};
