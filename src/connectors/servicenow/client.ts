import PQueue from 'p-queue';
import type { HttpResponse, HttpSend } from '../../kit/http-exchange.ts';
import type { TaskContext } from '../connector.ts';
import { readListAnswer, type Row } from './answer.ts';
import type { Authentication, Authorization } from './auth/method.ts';
import type { RequestFacts } from './errors.ts';
import { withRetries } from './retry.ts';

/** As many as the API semaphore of one ServiceNow node runs at once; more would only queue there. */
const CONCURRENCY_PER_INSTANCE = 4;
/** Instances whose queues are remembered. */
const MAX_INSTANCES = 200;

/** Bounds how many requests go to one instance at a time, over all connectors and tasks. */
export class InstanceGates {
  readonly #queues = new Map<string, PQueue>();

  of(baseUrl: string): PQueue {
    const { origin } = new URL(baseUrl);
    const queue = this.#queues.get(origin) ?? new PQueue({ concurrency: CONCURRENCY_PER_INSTANCE });
    this.#queues.delete(origin);
    this.#queues.set(origin, queue);
    for (const [oldest, idle] of this.#queues) {
      if (this.#queues.size <= MAX_INSTANCES) break;
      if (idle.size === 0 && idle.pending === 0) this.#queues.delete(oldest);
    }
    return queue;
  }
}

export interface TableQuery {
  table: string;
  /** Goes out as `sysparm_limit`; an answer with more rows is refused. */
  maxRows: number;
  params: Readonly<Record<string, string>>;
}

/** An answer together with when it was asked and given, on the wall clock: for the clock check. */
export interface TableAnswer {
  rows: Row[];
  response: HttpResponse;
  sentAt: number;
  receivedAt: number;
}

/** Reads tables of one instance with one connector's credentials. Holds nothing that needs an end. */
export class ServiceNowClient {
  readonly baseUrl: string;
  readonly #auth: Authentication;
  readonly #send: HttpSend;
  readonly #scrub: (text: string) => string;
  readonly #gates: InstanceGates;
  readonly #random: () => number;

  constructor(options: {
    baseUrl: string;
    auth: Authentication;
    send: HttpSend;
    scrub: (text: string) => string;
    gates: InstanceGates;
    random: () => number;
  }) {
    this.baseUrl = options.baseUrl;
    this.#auth = options.auth;
    this.#send = options.send;
    this.#scrub = options.scrub;
    this.#gates = options.gates;
    this.#random = options.random;
  }

  /** GET of a list from the Table API, repeated while the failure may pass. Rejects with a coded error. */
  async readTable(query: TableQuery, context: TaskContext): Promise<TableAnswer> {
    const { clock, signal, deadline, log } = context;
    return await withRetries(() => this.#readOnce(query, context), {
      clock,
      signal,
      deadline,
      random: this.#random,
      onWait: (error, waitMs) => {
        log.info({ code: error.code, waitMs: Math.round(waitMs) }, 'ServiceNow is asked again later');
        context.progress(`${error.message} Asking again in ${Math.ceil(waitMs / 1_000)} s.`);
      },
    });
  }

  async #readOnce(query: TableQuery, context: TaskContext): Promise<TableAnswer> {
    const url = new URL(`${this.baseUrl}/api/now/table/${query.table}`);
    for (const [name, value] of Object.entries(query.params)) url.searchParams.set(name, value);
    url.searchParams.set('sysparm_limit', String(query.maxRows));

    let authorization = await this.#auth.authorize(context.signal);
    let exchanged = await this.#exchange(url, authorization, context);
    if (exchanged.response.status === 401 && this.#auth.refused(authorization)) {
      // A token may end before its time: one with a new token, and no more.
      authorization = await this.#auth.authorize(context.signal);
      exchanged = await this.#exchange(url, authorization, context);
    }
    const facts: RequestFacts = {
      baseUrl: this.baseUrl,
      target: url.origin + url.pathname,
      user: this.#auth.user,
      usedBearer: authorization.bearer !== undefined,
      scrub: this.#scrub,
    };
    return { ...exchanged, rows: readListAnswer(exchanged.response, facts, query.maxRows) };
  }

  async #exchange(
    url: URL,
    authorization: Authorization,
    { signal, clock }: TaskContext,
  ): Promise<Omit<TableAnswer, 'rows'>> {
    return await this.#gates.of(this.baseUrl).add(
      async () => {
        const sentAt = clock.now();
        const response = await this.#send({
          method: 'GET',
          url,
          headers: { accept: 'application/json', authorization: authorization.header.reveal() },
          signal,
        });
        return { response, sentAt, receivedAt: clock.now() };
      },
      { signal },
    );
  }
}
