import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { listenOnLoopback } from '../support/listen.ts';
import type { Issued } from '../support/authority.ts';

const DRIP_EVERY_MS = 50;

/** One request as its server got it, whole. */
export interface Got {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Reply {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless it is text or bytes. */
  readonly body?: unknown;
}

/** Answers whatever the attack at hand wants it to, and remembers what it was sent. */
export class RecordingServer implements AsyncDisposable {
  readonly got: Got[] = [];
  reply: (request: Got) => Reply | 'never' | 'drip' = () => ({ status: 404 });
  readonly #server: Server;
  readonly #scheme: 'http' | 'https';
  #port = 0;

  private constructor(tls: Issued | undefined) {
    const listener: RequestListener = (request, response) => void this.#answer(request, response);
    this.#server = tls === undefined ? createServer(listener) : createTlsServer({ ...tls }, listener);
    this.#scheme = tls === undefined ? 'http' : 'https';
  }

  static async start(tls?: Issued): Promise<RecordingServer> {
    const server = new RecordingServer(tls);
    server.#port = await listenOnLoopback(server.#server);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(...[request, response]: Parameters<RequestListener>): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    const got: Got = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString('latin1'),
    };
    this.got.push(got);
    const reply = this.reply(got);
    if (reply === 'never') return;
    if (reply === 'drip') return drip(response);
    const { status = 200, statusText, headers = {}, body } = reply;
    response.writeHead(status, statusText, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body ?? {}));
  }
}

/** An answer that goes on for ever, a byte at a time. */
function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), DRIP_EVERY_MS);
  response.once('close', () => clearInterval(timer));
}

/** A change in Implement, as the Table API gives it, whichever fields were asked for. */
export function honestServiceNow({ path }: Got, more: Readonly<Record<string, unknown>> = {}): Reply {
  const fields = new URL(path, 'http://x').searchParams.get('sysparm_fields')?.split(',') ?? ['number'];
  const known: Readonly<Record<string, string>> = {
    number: 'CHG0030001',
    sys_id: 'c4cf237a86d1094dde8361dfeb8c34e8',
    sys_updated_on: '2026-11-23 09:55:00',
    state: '-1',
  };
  const row = Object.fromEntries(
    fields.map((field) => [field, { value: known[field] ?? '', display_value: known[field] ?? '' }]),
  );
  return { body: { result: [{ ...row, ...more }] } };
}
