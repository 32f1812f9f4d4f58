import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { once } from 'node:events';

/** Neither a token request nor an admin command comes near this. */
const MAX_BODY_BYTES = 1_048_576;

export interface TlsPair {
  /** PEM. */
  key: string;
  cert: string;
}

export interface PlaneOptions {
  host: string;
  port: number;
  tls?: TlsPair | undefined;
}

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: string;
}

/** One listening port. `close()` ends every connection, stalled ones included. */
export interface Plane {
  readonly origin: string;
  close(): Promise<void>;
}

/** @param answerFor makes the handler, once the origin is known under which it will answer */
export async function openPlane(
  options: PlaneOptions,
  answerFor: (origin: string) => (exchange: Exchange) => Promise<void>,
): Promise<Plane> {
  const { host, port, tls } = options;
  const server = tls === undefined ? createHttpServer() : createHttpsServer({ key: tls.key, cert: tls.cert });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  const origin = `${tls === undefined ? 'http' : 'https'}://${host}:${address.port}`;
  const answer = answerFor(origin);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response, answer).catch((error: unknown) => {
      // A broken connection needs no answer; a fault of this program must not look like the server's own words.
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  return {
    origin,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (exchange: Exchange) => Promise<void>,
): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) {
    response.writeHead(413, { connection: 'close' }).end();
    return;
  }
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  await answer({ method: request.method ?? 'GET', path, request, response, body });
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('a request without encoding gives buffers');
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
