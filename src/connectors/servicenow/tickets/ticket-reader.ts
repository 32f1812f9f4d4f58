import { DelegateError, wrap } from '../../../kit/errors.ts';
import { deferred, untilAborted, type Deferred } from '../../../kit/flow.ts';
import type { Clock, Timer } from '../../../kit/time.ts';
import type { TaskContext } from '../../connector.ts';
import type { Row } from '../answer.ts';
import type { ReadContext, ServiceNowClient } from '../client.ts';
import { isWorthWaiting } from '../retry.ts';
import {
  byTicket,
  inRequests,
  queryFor,
  readMany,
  readOne,
  ticketsWithin,
  type NonEmpty,
  type TicketQuestion,
} from './batch.ts';
import type { TicketName } from './ticket-name.ts';

/** One for all: without a reason each end of a look would make a DOMException, and collect a stack for it. */
const OVER = new Error('the look at the ticket is over');

/**
 * How long a question waits for others: until none has come for a while, but not longer than the most. Where either
 * is zero, each goes out at once and alone.
 */
export interface GatherTimes {
  readonly quietMs: number;
  readonly mostMs: number;
}

/** Next to a request of half a second this is nothing, and the looks of one tick come within it. */
export const GATHER_TIMES: GatherTimes = { quietMs: 10, mostMs: 100 };

/**
 * Requests in a row, none of them answered, that the splitting of one that failed may cost: enough to come down from
 * a hundred tickets to one. An answer to a part shows that it was not all in vain, and begins the count anew.
 */
const MAX_SPLIT_REQUESTS = 16;

/** Failures that fewer tickets in a request may cure, because one of them, or their number, caused it. */
const CURED_BY_LESS: ReadonlySet<string> = new Set([
  'servicenow.invalid-request',
  'servicenow.request-too-long',
  'servicenow.server-error',
  'servicenow.transaction-cancelled',
  'servicenow.broken-answer',
  'servicenow.unexpected-shape',
  'http.response-too-large',
  'http.broken-response',
  'network.answer-timeout',
]);

interface Ask extends TicketQuestion {
  readonly context: TaskContext;
  readonly row: Deferred<Row>;
  /** Aborted when nobody waits for the row any more: it was told, or its task has ended. */
  readonly over: AbortController;
}

/** Questions that will be one request, or a few. */
interface Gathering {
  readonly asks: Set<Ask>;
  /** What has been asked for; a ticket stays in it if whoever asked has left. */
  readonly tickets: Set<string>;
  readonly client: ServiceNowClient;
  readonly openedAt: number;
  timer: Timer;
}

/**
 * Reads tickets for many tasks with few requests: what is asked within a few milliseconds with the same credentials
 * about the same table goes out together, and each task gets its own answer.
 *
 *   read ──► gathering ──► requests of up to 100 ──► a row for each ticket
 *                               │        │
 *                               │        └ not among the rows: asked for alone
 *                               └ failed by its size or by one of its tickets: each half again
 */
export class TicketReader {
  readonly #clock: Clock;
  readonly #times: GatherTimes;
  readonly #gatherings = new Map<string, Gathering>();

  constructor(clock: Clock, times: GatherTimes) {
    this.#clock = clock;
    this.#times = times;
  }

  /**
   * The row of one ticket with the fields that this user may read of those asked for. Rejects with
   * `servicenow.ticket-not-found`, `servicenow.ticket-ambiguous`, `servicenow.filter-not-applied`, and as
   * `readTable` does.
   */
  async read(
    client: ServiceNowClient,
    ticket: TicketName,
    fields: ReadonlySet<string>,
    context: TaskContext,
  ): Promise<Row> {
    context.signal.throwIfAborted();
    const key = [client.identity, ticket.type, ticket.field].join(' ');
    const ask: Ask = { ticket, fields, context, row: deferred(), over: new AbortController() };
    const gathering = this.#gatherings.get(key) ?? this.#open(key, client);
    gathering.asks.add(ask);
    gathering.tickets.add(ticket.asked);
    this.#await(key, gathering);
    try {
      return only(fields, await untilAborted(ask.row.promise, context.signal));
    } finally {
      ask.over.abort(OVER);
      this.#leave(key, gathering, ask);
    }
  }

  #open(key: string, client: ServiceNowClient): Gathering {
    const gathering: Gathering = {
      asks: new Set(),
      tickets: new Set(),
      client,
      openedAt: this.#clock.monotonic(),
      timer: { cancel: () => {} },
    };
    this.#gatherings.set(key, gathering);
    return gathering;
  }

  /** Until nobody has come for a while, the time is over, or a request is full. */
  #await(key: string, gathering: Gathering): void {
    gathering.timer.cancel();
    const leftMs = gathering.openedAt + this.#times.mostMs - this.#clock.monotonic();
    const waitMs = Math.min(this.#times.quietMs, leftMs);
    if (waitMs <= 0 || gathering.tickets.size >= ticketsWithin(gathering.client.maxRows)) {
      this.#send(key, gathering);
      return;
    }
    gathering.timer = this.#clock.after(waitMs, () => this.#send(key, gathering));
  }

  #leave(key: string, gathering: Gathering, ask: Ask): void {
    gathering.asks.delete(ask);
    if (gathering.asks.size > 0 || this.#gatherings.get(key) !== gathering) return;
    gathering.timer.cancel();
    this.#gatherings.delete(key);
  }

  #send(key: string, gathering: Gathering): void {
    if (this.#gatherings.get(key) === gathering) this.#gatherings.delete(key);
    const { asks, client } = gathering;
    for (const request of inRequests([...asks], client.baseUrl, ticketsWithin(client.maxRows))) {
      void new SharedRead(client).answer(request);
    }
  }
}

/** Answers the questions of one request, whatever it takes; never rejects. */
class SharedRead {
  readonly #client: ServiceNowClient;
  #splitsLeft = MAX_SPLIT_REQUESTS;

  constructor(client: ServiceNowClient) {
    this.#client = client;
  }

  async answer(asks: readonly Ask[]): Promise<void> {
    const waiting = asks.filter(({ over }) => !over.signal.aborted);
    if (!isNonEmpty(waiting)) return;
    const groups = [...byTicket(waiting).values()];
    try {
      const rows = await this.#read(waiting, groups.length === 1);
      await this.#tell(groups, rows);
    } catch (thrown) {
      await this.#failed(groups, thrown);
    }
  }

  async #read(asks: NonEmpty<Ask>, isOne: boolean): Promise<readonly Row[]> {
    const query = queryFor(asks);
    const { rows } = await together(asks, (context) =>
      this.#client.readTable(query, context, {
        ...(isOne ? {} : { exceptRetry: isCuredByLess }),
        onWait: (error, waitMs) => tellTheHurried(asks, error, waitMs),
      }),
    );
    this.#splitsLeft = MAX_SPLIT_REQUESTS;
    return rows;
  }

  async #tell(groups: readonly NonEmpty<Ask>[], rows: readonly Row[]): Promise<void> {
    const tickets = groups.map(([{ ticket }]) => ticket);
    const [first] = tickets;
    const answers =
      tickets.length === 1 && first !== undefined ? [readOne(rows, first)] : readMany(rows, tickets);
    const unanswered: NonEmpty<Ask>[] = [];
    for (const [at, group] of groups.entries()) {
      const answer = answers[at];
      if (answer === undefined) unanswered.push(group);
      else settle(group, answer);
    }
    // Each alone, before anybody is told that a ticket is missing.
    await Promise.all(unanswered.map((group) => this.answer(group)));
  }

  async #failed(groups: readonly NonEmpty<Ask>[], thrown: unknown): Promise<void> {
    const error = wrap(thrown);
    if (groups.length === 1 || !isCuredByLess(error) || this.#splitsLeft < 2) {
      for (const group of groups) settle(group, error);
      return;
    }
    this.#splitsLeft -= 2;
    const middle = Math.ceil(groups.length / 2);
    await this.answer(groups.slice(0, middle).flat());
    await this.answer(groups.slice(middle).flat());
  }
}

function settle(asks: readonly Ask[], answer: Row | DelegateError): void {
  for (const { row, over } of asks) {
    over.abort(OVER);
    if (answer instanceof DelegateError) row.reject(answer);
    else row.resolve(answer);
  }
}

/** The deadline of the last counts for the request; whose own is over before the wait is told at once, as if alone. */
function tellTheHurried(asks: readonly Ask[], error: DelegateError, waitMs: number): void {
  const retryAfterMs = Math.ceil(waitMs);
  const hurried = asks.filter(({ context }) => !isWorthWaiting(waitMs, context));
  settle(hurried, error.retold({ details: { retryAfterMs } }));
}

function isCuredByLess({ code }: DelegateError): boolean {
  return CURED_BY_LESS.has(code);
}

function isNonEmpty<T>(items: T[]): items is NonEmpty<T> {
  return items.length > 0;
}

/** Work for several tasks: it ends early when nobody waits for it any more, and what it tells goes to all who do. */
async function together<T>(asks: NonEmpty<Ask>, work: (context: ReadContext) => Promise<T>): Promise<T> {
  const [{ context: first }] = asks;
  const signals = asks.map(({ over }) => over.signal);
  const everybodyLeft = new AbortController();
  let left = signals.length;
  const onOver = (): void => {
    left -= 1;
    if (left === 0) everybodyLeft.abort(OVER);
  };
  for (const signal of signals) signal.addEventListener('abort', onOver, { once: true });
  try {
    return await work({
      signal: everybodyLeft.signal,
      deadline: Math.max(...asks.map(({ context }) => context.deadline)),
      clock: first.clock,
      log: first.log,
      progress: (message) => {
        for (const { context, over } of asks) if (!over.signal.aborted) context.progress(message);
      },
    });
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', onOver);
  }
}

function only(fields: ReadonlySet<string>, row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([name]) => fields.has(name)));
}
