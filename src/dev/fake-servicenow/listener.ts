import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { sleep, type Clock } from '../../kit/time.ts';
import type { Delivery } from './faults/delivery.ts';
import { misuse } from './errors.ts';

/** Bound on a request's body, bytes: above the length at which the instance itself complains. */
const MAX_BODY_BYTES = 16_777_216;

/** Bound on a request's head, bytes: well above the length at which the fake itself complains. */
const MAX_HEAD_BYTES = 65_536;

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** The signal aborts when the connection is gone, by either side. */
  readonly handle: (message: IncomingMessage, response: ServerResponse, signal: AbortSignal) => Promise<void>;
}

/** An HTTP server with an end: once `close()` has resolved, no socket and no handler is left. */
export class Listener {
  readonly url: string;
  readonly #server: Server;
  readonly #exchanges: Set<Promise<void>>;

  private constructor(url: string, server: Server, exchanges: Set<Promise<void>>) {
    this.url = url;
    this.#server = server;
    this.#exchanges = exchanges;
  }

  static async open({ host, port, tls, handle }: ListenerOptions): Promise<Listener> {
    const exchanges = new Set<Promise<void>>();
    const onRequest = (message: IncomingMessage, response: ServerResponse): void => {
      const exchange = exchangeOf(message, response, handle).finally(() => exchanges.delete(exchange));
      exchanges.add(exchange);
    };
    const settings = { maxHeaderSize: MAX_HEAD_BYTES };
    const server =
      tls === undefined
        ? createHttpServer(settings, onRequest)
        : createHttpsServer({ ...settings, ...tls }, onRequest);
    server.listen(port, host);
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string')
      throw misuse('fake-servicenow.no-port', 'The server has no TCP port.');
    const origin = `${tls === undefined ? 'http' : 'https'}://${host}:${address.port}`;
    return new Listener(origin, server, exchanges);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    // Each exchange ends with its connection, however long a fault would have made it wait.
    this.#server.closeAllConnections();
    await Promise.all([closed, ...this.#exchanges]);
  }
}

async function exchangeOf(
  message: IncomingMessage,
  response: ServerResponse,
  handle: ListenerOptions['handle'],
): Promise<void> {
  const connection = new AbortController();
  response.once('close', () => connection.abort(new Error('the connection is gone')));
  try {
    await handle(message, response, connection.signal);
  } catch (error) {
    // A client that left is part of the play; anything else is a fault of the fake itself and has to be seen.
    if (!connection.signal.aborted) explain(response, error);
  }
}

function explain(response: ServerResponse, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (!response.headersSent) response.writeHead(500, { 'Content-Type': 'text/plain' });
  response.end(`The fake ServiceNow failed:\n${text}`);
}

/** The whole body as UTF-8. Rejects when it is longer than any honest request's. */
export async function readBody(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES)
      throw misuse('fake-servicenow.body-too-large', `The body is longer than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Puts a delivery on the socket, with its silences and its sudden ends. */
export async function deliver(
  delivery: Delivery,
  response: ServerResponse,
  context: { readonly isHead: boolean; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { isHead, clock, signal } = context;
  if (delivery.waitMs > 0) await sleep(clock, delivery.waitMs, signal);
  if (delivery.reset === 'before-headers') {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(delivery.status, delivery.headers.flat());
  response.flushHeaders();
  for (const { waitMs, bytes } of isHead ? [] : delivery.chunks) {
    if (waitMs > 0) await sleep(clock, waitMs, signal);
    await written(response, bytes, signal);
  }
  if (delivery.reset === 'after-chunks') response.socket?.resetAndDestroy();
  else await ended(response, signal);
}

/** Until the bytes are with the operating system, so that each piece is a write of its own. */
function written(response: ServerResponse, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return settled(signal, (done) => response.write(bytes, done));
}

function ended(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return settled(signal, (done) => response.end(done));
}

function settled(signal: AbortSignal, start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('the connection is gone'));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    start((error) => {
      signal.removeEventListener('abort', onAbort);
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}
