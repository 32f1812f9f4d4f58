import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { listenOnLoopback } from '../support/listen.ts';
import { reset } from '../support/reset.ts';

/** A TCP server on loopback that hands every connection to `accept`, with a way to dial on; owns all the sockets. */
export class RelayServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly port: number;

  private constructor(server: Server, port: number, accept: (client: Socket, dial: Dial) => void) {
    this.#server = server;
    this.port = port;
    const dial: Dial = (toPort) => {
      const target = connect({ port: toPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      this.#own(target);
      return target;
    };
    server.on('connection', (client) => {
      this.#own(client);
      accept(client, dial);
    });
  }

  static async start(accept: (client: Socket, dial: Dial) => void): Promise<RelayServer> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    return new RelayServer(server, await listenOnLoopback(server), accept);
  }

  /** RST to both sides of every connection. */
  cutAll(): void {
    for (const socket of this.#sockets) reset(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

export type Dial = (port: number) => Socket;

/** What becomes of the bytes that pass. */
export type Through = (chunk: Buffer) => readonly Buffer[];

/** One direction of a connection, its end included: FIN behind FIN, RST behind anything else. */
export function relay(from: Socket, to: Socket, through: Through = (chunk) => [chunk]): void {
  from.on('data', (chunk: Buffer) => {
    for (const piece of through(chunk)) if (!to.write(piece)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
  from.on('close', () => {
    if (!from.readableEnded) reset(to);
  });
}

/** Longer is no request that this protocol makes. */
const MAX_HEAD_BYTES = 16_384;
const HEAD_END = '\r\n\r\n';

/** Cuts the head of an HTTP message, its blank line included, off what comes; undefined until all of it is there. */
export class HeadReader {
  #bytes = Buffer.alloc(0);

  push(chunk: Buffer): { head: string; rest: Buffer } | undefined {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = this.#bytes.indexOf(HEAD_END);
    if (end < 0) {
      if (this.#bytes.length > MAX_HEAD_BYTES) throw new RangeError('no HTTP message has such a head');
      return undefined;
    }
    const headBytes = end + HEAD_END.length;
    return { head: this.#bytes.toString('latin1', 0, headBytes), rest: this.#bytes.subarray(headBytes) };
  }
}
