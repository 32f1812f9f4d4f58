import type { DelegateError } from '../../../kit/errors.ts';
import type { Row } from '../answer.ts';
import { fieldMissing } from '../approval/ticket.ts';
import { tableUrl, type TableQuery } from '../client.ts';
import { ambiguous, filterNotApplied, notFound, type TicketName } from './ticket-name.ts';

/** Tickets in one request. */
export const MAX_TICKETS = 100;
/** Twice as many as can be there, so that a number that exists twice shows. */
const ROWS_PER_TICKET = 2;
/** A request's URL. Servers and proxies of the field take 8,000 bytes and more; this is what all of them take. */
export const MAX_URL_BYTES = 2_000;

/** What a comma between two names becomes in a URL. */
const COMMA_BYTES = '%2C'.length;
/** The largest that can stand there. */
const LIMIT_BYTES = `&sysparm_limit=${ROWS_PER_TICKET * MAX_TICKETS}`.length;

/** Tickets in one request that may ask for so many rows. */
export function ticketsWithin(maxRows: number): number {
  return Math.max(1, Math.min(MAX_TICKETS, Math.floor(maxRows / ROWS_PER_TICKET)));
}

export type NonEmpty<T> = [T, ...T[]];

/** What somebody wants to know of one ticket. */
export interface TicketQuestion {
  readonly ticket: TicketName;
  readonly fields: ReadonlySet<string>;
}

/**
 * Questions about one table and by one field, cut in their order into requests that keep to the bounds. Questions
 * about one ticket stay together and count once. One that is too long by itself is a request of its own.
 */
export function inRequests<Q extends TicketQuestion>(
  questions: readonly Q[],
  baseUrl: string,
  mostTickets: number = MAX_TICKETS,
): NonEmpty<Q>[] {
  const requests: NonEmpty<Q>[] = [];
  let bytes = 0;
  let tickets = 0;
  let fields = new Set<string>();
  for (const [asked, same] of byTicket(questions)) {
    const wanted = same.flatMap((question) => [...question.fields]);
    const more = bytesOf([asked]) + bytesOf(new Set(wanted.filter((name) => !fields.has(name))));
    const open = requests.at(-1);
    if (open === undefined || tickets >= mostTickets || bytes + more > MAX_URL_BYTES) {
      requests.push([...same]);
      tickets = 1;
      fields = new Set(wanted);
      bytes = emptyUrlBytes(same, baseUrl) + bytesOf([asked]) + bytesOf(fields);
      continue;
    }
    open.push(...same);
    tickets += 1;
    bytes += more;
    for (const name of wanted) fields.add(name);
  }
  return requests;
}

/**
 * What is asked for all of these at once; of one ticket, the plain condition that every table understands. If no
 * field is named, all that the user may read.
 */
export function queryFor(questions: Readonly<NonEmpty<TicketQuestion>>): TableQuery {
  const { type, field } = questions[0].ticket;
  const asked = [...byTicket(questions).keys()];
  const [only] = asked;
  const isOne = asked.length === 1;
  const fields = new Set(questions.flatMap((question) => [...question.fields]));
  const condition = isOne ? `${field}=${only}^ORDERBYsys_id` : `${field}IN${asked.join(',')}^ORDERBY${field}`;
  return {
    table: type,
    maxRows: ROWS_PER_TICKET * asked.length,
    params: {
      sysparm_query: condition,
      sysparm_display_value: 'all',
      sysparm_exclude_reference_link: 'true',
      sysparm_no_count: 'true',
      sysparm_suppress_pagination_header: 'true',
      ...(fields.size === 0 ? {} : { sysparm_fields: [...fields].join(',') }),
    },
  };
}

/** What an answer says of one ticket: its row; why there is none; or undefined, if it says nothing of it. */
export type TicketAnswer = Row | DelegateError | undefined;

/**
 * Reads the answer to one ticket asked for alone.
 *
 * Exactly the row that was asked for: anything else is an error, because a decision would be about a stranger.
 */
export function readOne(rows: readonly Row[], ticket: TicketName): Row | DelegateError {
  const [row, second] = rows;
  if (row === undefined) return notFound(ticket);
  // ServiceNow drops a condition that it doesn't understand and then answers with any rows at all.
  if (rows.some((candidate) => candidate[ticket.field]?.value !== ticket.asked)) {
    return row[ticket.field] === undefined
      ? fieldMissing(ticket.field, ticket.type)
      : filterNotApplied(ticket);
  }
  return second === undefined ? row : ambiguous(ticket);
}

/**
 * Reads the answer to several tickets at once. A ticket without a row stays undefined: it is not called missing
 * before it was asked for alone, since rights are judged after the page has been cut. Rights may also hide the name
 * in some of the rows; whose those are shows alone, too.
 */
export function readMany(rows: readonly Row[], tickets: readonly TicketName[]): TicketAnswer[] {
  const byName = grouped(rows, (row) => nameIn(row, tickets[0]?.field));
  // Names are compared exactly, but a database that minds no case answers with other spellings of what was asked.
  const spellings = new Set(tickets.map(({ asked }) => asked.toLowerCase()));
  const names = [...byName.keys()].filter((name) => name !== undefined);
  const isFiltered = names.every((name) => spellings.has(name.toLowerCase()));
  // Fewer rows than tickets, and some ticket is missing: which of them, shows alone.
  const isNameless = rows.length >= tickets.length && names.length === 0;
  return tickets.map((ticket) => {
    if (isNameless) return fieldMissing(ticket.field, ticket.type);
    if (!isFiltered) return filterNotApplied(ticket);
    const found = byName.get(ticket.asked);
    return found === undefined ? undefined : readOne(found, ticket);
  });
}

function nameIn(row: Row, field: TicketName['field'] | undefined): string | undefined {
  return field === undefined ? undefined : row[field]?.value;
}

/** In the order in which the tickets were first asked for. */
export function byTicket<Q extends TicketQuestion>(questions: readonly Q[]): Map<string, NonEmpty<Q>> {
  return grouped(questions, ({ ticket }) => ticket.asked);
}

/** What `Map.groupBy` does, which Node 20 does not have. */
function grouped<K, T>(items: readonly T[], keyOf: (item: T) => K): Map<K, NonEmpty<T>> {
  const groups = new Map<K, NonEmpty<T>>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** All of the URL but the list of tickets and the list of fields. */
function emptyUrlBytes([question]: NonEmpty<TicketQuestion>, baseUrl: string): number {
  const { table, params } = queryFor([{ ...question, fields: new Set(['']) }]);
  return tableUrl(baseUrl, { table, params }).href.length - question.ticket.asked.length + LIMIT_BYTES;
}

/** Neither tickets nor fields have a character that a URL writes otherwise. */
function bytesOf(names: Iterable<string>): number {
  return [...names].reduce((bytes, name) => bytes + name.length + COMMA_BYTES, 0);
}
