import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import { HttpClient, type HttpClientOptions } from '../../src/http/client.ts';
import type { DevelopmentCertificate } from '../../src/dev/fake-identity/development-certificates.ts';
import type { HttpRequest } from '../../src/kit/http-exchange.ts';
import { dialerWith } from '../support/dialer.ts';
import { portOf } from '../support/listen.ts';

/** A listening server that knows its sockets, so that a test can see them end, and end them. */
export class Listener implements AsyncDisposable {
  readonly sockets = new Set<Socket>();
  /** Connections accepted so far. */
  accepted = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.accepted += 1;
      this.sockets.add(socket);
      socket.on('error', () => {}); // The client's doings are the test's to judge.
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** @param address of loopback */
  static async on(server: Server, address = '127.0.0.1'): Promise<Listener> {
    const listener = new Listener(server);
    server.listen(0, address);
    await once(server, 'listening');
    return listener;
  }

  /** An HTTP server that answers with what `listener` writes. */
  static http(listener: RequestListener): Promise<Listener> {
    return Listener.on(createServer(listener));
  }

  /** A server that says these bytes to whoever has sent something, and then does with the socket as told. */
  static raw(answer: string | Buffer, then: (socket: Socket) => void = () => {}): Promise<Listener> {
    return Listener.on(
      createTcpServer((socket) => {
        socket.once('data', () => socket.write(answer, () => then(socket)));
      }),
    );
  }

  static tls(certificate: DevelopmentCertificate): Promise<Listener> {
    const { certificatePem: cert, pkcs8Pem: key } = certificate;
    return Listener.on(createTlsServer({ cert, key }, (_, response) => response.end('over TLS')));
  }

  url(path = '/', scheme: 'http' | 'https' = 'http', host = '127.0.0.1'): URL {
    return new URL(`${scheme}://${host}:${this.port}${path}`);
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** Resolves when every connection has ended. */
  async idle(): Promise<void> {
    // Not `once` of node:events: it rejects for the reset that may come first.
    const ends = [...this.sockets].map(
      (socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve())),
    );
    await Promise.all(ends);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A client that may call loopback; nothing is shortened unless asked. */
export function client(options: Partial<HttpClientOptions> = {}): HttpClient {
  return new HttpClient({
    dialer: dialerWith(),
    guardUrl: () => {},
    guardRequest: () => {},
    guardAddress: () => {},
    userAgent: 'test/1',
    ...options,
  });
}

export function get(url: URL, request: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', url, headers: {}, signal: AbortSignal.timeout(10_000), ...request };
}
