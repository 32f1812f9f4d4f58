import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { deferred } from '../../src/kit/flow.ts';
import { listenOnLoopback } from './listen.ts';

/** One request as it came over the wire. `origin` is the one that the client meant. */
export interface CloudRequest {
  readonly method: string;
  readonly origin: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface CloudAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Instead of an answer: the request is read, and nothing follows. */
export const SILENCE = 'silence';

export function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): CloudAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
  };
}

/**
 * A real server on loopback that stands for every host of one cloud; the room sends to it what is meant for them. What
 * each host answers is said by the fake of that cloud, made from its reference.
 */
export class FakeCloud implements AsyncDisposable {
  readonly requests: CloudRequest[] = [];
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #answer: (request: CloudRequest) => CloudAnswer;
  readonly #faults: (CloudAnswer | typeof SILENCE)[] = [];
  readonly #isStore: (request: CloudRequest) => boolean;
  readonly #silenced = deferred<void>();
  port = 0;

  /** @param isStore tells requests for a secret from logins: faults are for them */
  constructor(answer: (request: CloudRequest) => CloudAnswer, isStore: (request: CloudRequest) => boolean) {
    this.#answer = answer;
    this.#isStore = isStore;
  }

  async listen(): Promise<this> {
    this.port = await listenOnLoopback(this.#server);
    return this;
  }

  /** What the store answers to the next requests, in their order, whatever is asked. */
  failWith(...answers: readonly (CloudAnswer | typeof SILENCE)[]): void {
    this.#faults.push(...answers);
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** Resolves when a request for a secret comes that gets no answer. */
  async arrival(): Promise<void> {
    await this.#silenced.promise;
  }

  get storeRequests(): readonly CloudRequest[] {
    return this.requests.filter((request) => this.#isStore(request));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    const url = new URL(incoming.url ?? '/', 'http://loopback');
    const { 'x-meant-for': origin = '', ...headers } = Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, [value].flat().join(', ')]),
    );
    const request = {
      method: incoming.method ?? '',
      origin,
      path: url.pathname,
      query: url.searchParams,
      headers,
      body: Buffer.concat(chunks).toString(),
    };
    this.requests.push(request);
    const fault = this.#isStore(request) ? this.#faults.shift() : undefined;
    if (fault === SILENCE) {
      this.#silenced.resolve();
      return;
    }
    const answer = fault ?? this.#answer(request);
    response.writeHead(answer.status, answer.headers).end(answer.body);
  }
}
