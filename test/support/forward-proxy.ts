import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Issued } from './authority.ts';
import { listenOnLoopback } from './listen.ts';

export interface ForwardProxyOptions {
  /** Speaks TLS to its own clients. */
  tls?: Issued;
  /** `user:password` that it wants. Without it, everybody is let in. */
  wants?: string;
  /** Takes the place of a tunnel: what it answers to CONNECT, byte for byte; '' for nothing at all. */
  answers?: string;
}

/** One CONNECT as it came. */
export interface SeenConnect {
  readonly target: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

/**
 * A proxy for CONNECT on loopback. Names below `.test` lead to loopback, at the port that was asked for, so that a test
 * can call a server by a name that nobody resolves: whoever got there has come through here.
 */
export class ForwardProxy implements AsyncDisposable {
  readonly seen: SeenConnect[] = [];
  /** What the clients sent through the tunnels. */
  readonly carried: Buffer[] = [];
  wants: string | undefined;
  readonly #answers: string | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #scheme: string;
  #port = 0;

  private constructor({ tls, wants, answers }: ForwardProxyOptions) {
    this.wants = wants;
    this.#answers = answers;
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on('connection', (socket: Socket) => this.#own(socket));
    this.#server.on('connect', (request: IncomingMessage, client: Duplex) => this.#connect(request, client));
    this.#server.on('request', (_request, response) => void response.writeHead(501).end());
  }

  static async start(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
    const proxy = new ForwardProxy(options);
    proxy.#port = await listenOnLoopback(proxy.#server);
    return proxy;
  }

  /** @param host that the client calls it by */
  url(host = '127.0.0.1'): URL {
    return new URL(`${this.#scheme}://${host}:${this.#port}`);
  }

  /** What went through, and the heads before it, as text to search. */
  everything(): string {
    return JSON.stringify(this.seen) + Buffer.concat(this.carried).toString('latin1');
  }

  #connect(request: IncomingMessage, client: Duplex): void {
    this.#own(client);
    const target = request.url ?? '';
    const authorization = request.headers['proxy-authorization'];
    this.seen.push({ target, authorization, headers: request.headers });
    if (this.#answers !== undefined) {
      if (this.#answers !== '') client.end(this.#answers, 'latin1');
      return;
    }
    const basic =
      this.wants === undefined ? undefined : `Basic ${Buffer.from(this.wants).toString('base64')}`;
    if (basic !== undefined && authorization !== basic) {
      client.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="test"\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const [, name = '', port = ''] = /^(.*):(\d+)$/.exec(target) ?? [];
    const upstream = connect(Number(port), name.endsWith('.test') ? '127.0.0.1' : name);
    this.#own(upstream);
    upstream.once('connect', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.on('data', (bytes: Buffer) => this.carried.push(bytes));
      client.pipe(upstream).pipe(client);
    });
    upstream.once('error', () => client.end('HTTP/1.1 502 Bad\r\n\r\n'));
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
  }

  #own(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // The test judges what came of it.
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}
