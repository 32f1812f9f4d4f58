import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createServer, type Server } from 'node:tls';
import type { Issued } from './authority.ts';
import { listenOnLoopback } from './listen.ts';

export interface TlsFrontOptions {
  /** What it shows. */
  shows: Issued;
  /** PEM of the authority whose certificates it wants from its clients. Without it, it asks for none. */
  wants?: string | undefined;
}

/** Speaks TLS before a server that speaks none, and passes the bytes on: the same servers for every kind of TLS. */
export class TlsFront implements AsyncDisposable {
  /** Names in the certificates of the clients that got through. */
  readonly clients: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor(behind: () => number, { shows, wants }: TlsFrontOptions) {
    const asks = wants === undefined ? {} : { requestCert: true, rejectUnauthorized: true, ca: wants };
    this.#server = createServer({ ...shows, ...asks }, (client) => {
      this.clients.push(String(client.getPeerCertificate().subject?.CN));
      const server = connect(behind(), '127.0.0.1');
      this.#own(server);
      client.pipe(server).pipe(client);
      client.once('close', () => server.destroy());
      server.once('close', () => client.destroy());
    });
    this.#server.on('connection', (socket: Socket) => this.#own(socket));
    this.#server.on('secureConnection', (socket: Socket) => this.#own(socket));
    this.#server.on('tlsClientError', () => {}); // The client tells what came of it.
  }

  /** @param behind the port of loopback that the bytes are for; asked for when somebody comes, if it is not known yet */
  static async before(behind: number | (() => number), options: TlsFrontOptions): Promise<TlsFront> {
    const front = new TlsFront(typeof behind === 'number' ? () => behind : behind, options);
    front.#port = await listenOnLoopback(front.#server);
    return front;
  }

  get port(): number {
    return this.#port;
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
