import { DelegateError } from '../../kit/errors.ts';
import type { HttpResponse, HttpSend } from '../../kit/http-exchange.ts';
import type { Secret } from '../../kit/secret.ts';
import { jwtFacts } from '../../oauth/jwt-facts.ts';
import type { TaskContext } from '../connector.ts';
import { readListAnswer, type Row } from './answer.ts';
import type { Authentication, Authorization } from './auth/method.ts';
import type { CredentialGuard } from './credential-guard.ts';
import { judge, judgeFailure, type RequestFacts } from './errors.ts';
import type { Caller, Instance, Instances } from './instance.ts';
import { withRetries } from './retry.ts';

export interface TableQuery {
  table: string;
  /** Goes out as `sysparm_limit`, unless the policy allows less; an answer with more rows is refused. */
  maxRows: number;
  params: Readonly<Record<string, string>>;
}

export interface TableAnswer {
  rows: Row[];
  response: HttpResponse;
}

/** What the work of a task, or of several tasks together, is bound to. */
export type ReadContext = Pick<TaskContext, 'signal' | 'deadline' | 'clock' | 'log' | 'progress'>;

export interface ReadOptions {
  /** Tries credentials that were refused a moment ago: somebody has asked for a test. */
  readonly anew?: boolean;
  /** Failures that the caller answers by asking for less. */
  readonly exceptRetry?: (error: DelegateError) => boolean;
  /** Told of each wait before it begins, why and for how many milliseconds. */
  readonly onWait?: (error: DelegateError, waitMs: number) => void;
}

export interface ClientOptions {
  baseUrl: string;
  auth: Authentication;
  send: HttpSend;
  scrub: (text: string) => string;
  instances: Instances;
  guard: CredentialGuard;
  random: () => number;
  /** What the customer's policy allows one request to ask for. */
  maxRows: number;
}

/** Where a list of rows is read, without the number of rows. */
export function tableUrl(baseUrl: string, { table, params }: Pick<TableQuery, 'table' | 'params'>): URL {
  const url = new URL(`${baseUrl}/api/now/table/${table}`);
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  return url;
}

/** Reads tables of one instance with one connector's credentials. Holds nothing that needs an end. */
export class ServiceNowClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get baseUrl(): string {
    return this.#options.baseUrl;
  }

  /** Rows that one request may ask for; a query for more is cut to it. */
  get maxRows(): number {
    return this.#options.maxRows;
  }

  /** A hash of instance and credentials: who has the same one may share an answer. */
  get identity(): string {
    return this.#options.auth.identity;
  }

  /** GET of a list from the Table API, repeated while the failure may pass. Rejects with a coded error. */
  async readTable(asked: TableQuery, context: ReadContext, options: ReadOptions = {}): Promise<TableAnswer> {
    const query = { ...asked, maxRows: Math.min(asked.maxRows, this.maxRows) };
    const { clock, signal, deadline, log } = context;
    const caller: Caller = {
      signal,
      deadline,
      onWait: (error, waitMs) => {
        options.onWait?.(error, waitMs);
        log.info({ code: error.code, waitMs: Math.round(waitMs) }, 'ServiceNow is asked again later');
        context.progress(`${error.message} Asking again in ${Math.ceil(waitMs / 1_000)} s.`);
      },
    };
    return await withRetries(() => this.#readOnce(query, context, caller, options.anew ?? false), {
      clock,
      signal,
      deadline,
      random: this.#options.random,
      onWait: caller.onWait,
      ...(options.exceptRetry === undefined ? {} : { except: options.exceptRetry }),
    });
  }

  async #readOnce(
    query: TableQuery,
    context: ReadContext,
    caller: Caller,
    anew: boolean,
  ): Promise<TableAnswer> {
    const { instances, guard, baseUrl } = this.#options;
    const url = tableUrl(baseUrl, query);
    url.searchParams.set('sysparm_limit', String(query.maxRows));
    const instance = instances.of(baseUrl);
    for (;;) {
      // Outside of the guard, so that everybody who waits for the instance does so by its own deadline and can say
      // so, not only whom the guard lets ask.
      await instance.opened(caller);
      const answer = await guard.run(this.identity, () => this.#ask(instance, url, query, context, anew), {
        signal: context.signal,
        anew,
      });
      if (answer !== undefined) return answer;
    }
  }

  /** Undefined if the instance takes no request any more. */
  async #ask(
    instance: Instance,
    url: URL,
    { maxRows }: TableQuery,
    context: ReadContext,
    anew: boolean,
  ): Promise<TableAnswer | undefined> {
    const { auth, guard } = this.#options;
    let exchanged = await this.#exchange(instance, url, context, anew);
    if (exchanged?.response.status === 401 && auth.refused(exchanged.prepared)) {
      // A token may end before its time: one with a new token, and no more.
      exchanged = await this.#exchange(instance, url, context, anew);
    }
    if (exchanged === undefined) return undefined;
    const { prepared: authorization, response } = exchanged;
    const refused = response.status === 401 ? authorization.bearer : undefined;
    try {
      const rows = readListAnswer(response, this.#factsOf(url, refused), maxRows);
      return { rows, response };
    } catch (thrown) {
      if (thrown instanceof DelegateError && refused !== undefined) {
        guard.refused(this.identity, thrown, 'token');
      }
      throw thrown;
    }
  }

  async #exchange(
    instance: Instance,
    url: URL,
    { signal }: ReadContext,
    anew: boolean,
  ): Promise<{ prepared: Authorization; response: HttpResponse } | undefined> {
    const { auth, guard } = this.#options;
    return await instance.exchange(
      {
        prepare: () => auth.authorize(signal),
        send: async (authorization) => {
          if (!anew) guard.assertNotRefused(this.identity);
          const answer = await this.#send(url, authorization, signal);
          // Said here, before the next in the queue is sent. A bearer may be renewed first.
          if (answer.status === 401 && authorization.bearer === undefined) {
            const refusal = this.#refusalIn(answer, url);
            if (refusal !== undefined) guard.refused(this.identity, refusal, 'password');
          }
          return answer;
        },
        judge: (answer) => this.#refusalIn(answer, url),
      },
      signal,
    );
  }

  async #send(url: URL, { header }: Authorization, signal: AbortSignal): Promise<HttpResponse> {
    const { send } = this.#options;
    try {
      return await send({
        method: 'GET',
        url,
        headers: { accept: 'application/json', authorization: header.reveal() },
        signal,
      });
    } catch (thrown) {
      signal.throwIfAborted();
      throw judgeFailure(thrown, this.#factsOf(url));
    }
  }

  /** What an answer that is none of success says of the instance; the rows of a success are read elsewhere. */
  #refusalIn(response: HttpResponse, url: URL): DelegateError | undefined {
    if (response.status === 200) return undefined;
    const judgement = judge({ response }, this.#factsOf(url));
    return 'error' in judgement ? judgement.error : undefined;
  }

  /** @param refused the token that ServiceNow did not accept: only then does it need explaining */
  #factsOf(url: URL, refused?: Secret): RequestFacts {
    const { baseUrl, auth, scrub } = this.#options;
    return {
      baseUrl,
      target: url.origin + url.pathname,
      user: auth.user,
      usedBearer: refused !== undefined,
      token: refused && jwtFacts(refused, scrub),
      scrub,
    };
  }
}
