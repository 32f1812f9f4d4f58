import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from '../../src/kit/flow.ts';
import { systemClock, type Clock, type Timer } from '../../src/kit/time.ts';
import { listenOnLoopback } from './listen.ts';
import { reset } from './reset.ts';
import { turn } from './until.ts';

/** First bytes of a client that are kept, so that they can be replayed: an upgrade request fits. */
const MAX_RECORDED_BYTES = 16_384;
const BLANK_LINE = '\r\n\r\n';

/**
 * What becomes of the bytes of one direction, and of its end:
 * - `discard`: read, so that TCP acknowledges them, and thrown away; neither FIN nor RST comes through;
 * - `stall`: not read, so that the sender's buffers fill up; all of it goes on when the flow does;
 * - `dribble`: passed on one byte at a time;
 * - `delayMs`: passed on that much later at least, in order, in real time.
 */
export type Flow = 'pass' | 'discard' | 'stall' | 'dribble' | { readonly delayMs: number };

/**
 * How a new connection is received: passed on, reset at once, closed at once, never answered, or answered with
 * this text once the head of its request is there.
 */
export type Door = 'open' | 'refuse' | 'close' | 'silent' | { readonly answer: string };

/** One direction of a connection. Everything can be changed while bytes are on their way. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #signal: AbortSignal;
  readonly #onBytes: () => void;
  #flow: Flow = 'pass';
  #flowChanged = deferred<void>();
  #turningPoint: { bytes: number | 'half a chunk'; onReached: () => void } | undefined;
  #recorded = Buffer.alloc(0);
  /** Bytes passed on. */
  bytes = 0;

  constructor(from: Socket, to: Socket, signal: AbortSignal, onBytes: () => void) {
    this.#from = from;
    this.#to = to;
    this.#signal = signal;
    this.#onBytes = onBytes;
  }

  get flow(): Flow {
    return this.#flow;
  }

  set flow(flow: Flow) {
    this.#flow = flow;
    this.#flowChanged.resolve();
    this.#flowChanged = deferred();
  }

  /** The first bytes that came, whatever became of them. */
  get recorded(): Buffer {
    return this.#recorded;
  }

  /** Passes so many more bytes on, and then calls back: to cut, or to change a flow. */
  after(bytes: number, onReached: () => void): void {
    this.#turningPoint = { bytes, onReached };
  }

  /** Passes half of what comes next on, and then calls back. Frames of an idle connection come one by one. */
  amidNextFrame(onReached: () => void): void {
    this.#turningPoint = { bytes: 'half a chunk', onReached };
  }

  /** Half-close: the receiver sees the end of this direction, and the other goes on. */
  end(): void {
    this.flow = 'discard';
    this.#to.end();
  }

  /** Resolves when nothing more can come; never rejects. */
  async run(): Promise<void> {
    let end = (): unknown => this.#to.end();
    try {
      // Not destroyed at its end, which is the end of one direction only.
      const chunks: AsyncIterable<Buffer> = this.#from.iterator({ destroyOnReturn: false });
      for await (const chunk of chunks) await this.#take(chunk);
    } catch {
      // A reset, by the peer or by `cut`: what is behind it is told in the same way.
      end = () => reset(this.#to);
    }
    await this.#unlessStalled();
    if (this.#flow !== 'discard') end();
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#onBytes();
    const room = Math.max(0, MAX_RECORDED_BYTES - this.#recorded.length);
    if (room > 0) this.#recorded = Buffer.concat([this.#recorded, chunk.subarray(0, room)]);
    for (let rest = chunk; rest.length > 0;) {
      await this.#unlessStalled();
      if (this.#flow === 'discard') return;
      if (typeof this.#flow === 'object')
        await delay(this.#flow.delayMs, undefined, { signal: this.#signal });
      if (this.#flow === 'dribble') await turn();
      const piece = rest.subarray(0, this.#flow === 'dribble' ? 1 : this.#untilTurningPoint(rest));
      await this.#pass(piece);
      rest = rest.subarray(piece.length);
      this.#countDown(piece.length);
    }
  }

  #untilTurningPoint(rest: Buffer): number {
    const point = this.#turningPoint;
    if (point === undefined) return rest.length;
    if (point.bytes === 'half a chunk') point.bytes = Math.ceil(rest.length / 2);
    return Math.min(point.bytes, rest.length);
  }

  #countDown(passed: number): void {
    const point = this.#turningPoint;
    if (point === undefined || typeof point.bytes !== 'number') return;
    point.bytes -= passed;
    if (point.bytes > 0) return;
    this.#turningPoint = undefined;
    point.onReached();
  }

  /** One write at a time, so that a receiver that does not read holds the sender back. */
  async #pass(piece: Buffer): Promise<void> {
    if (!this.#to.writable) return;
    this.bytes += piece.length;
    await new Promise<void>((resolve) => {
      this.#to.write(piece, () => resolve());
    });
  }

  async #unlessStalled(): Promise<void> {
    while (this.#flow === 'stall') await this.#flowChanged.promise;
  }
}

/** One connection through the proxy. */
export class ProxiedConnection {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #targetPort: number;
  readonly #torn = new AbortController();
  readonly #idle: { readonly ms: number; readonly clock: Clock } | undefined;
  #idleTimer: Timer | undefined;
  /** Delegate to manager. */
  readonly up: Lane;
  /** Manager to delegate. */
  readonly down: Lane;
  /** Resolves when the delegate's socket is gone; never rejects. */
  readonly clientClosed: Promise<void>;
  /** Resolves when both sockets are gone; never rejects. */
  readonly closed: Promise<void>;

  constructor(
    client: Socket,
    target: Socket,
    targetPort: number,
    idle: { readonly ms: number; readonly clock: Clock } | undefined,
  ) {
    this.#client = client;
    this.#target = target;
    this.#targetPort = targetPort;
    this.#idle = idle;
    const onBytes = (): void => this.#awaitBytes();
    this.up = new Lane(client, target, this.#torn.signal, onBytes);
    this.down = new Lane(target, client, this.#torn.signal, onBytes);
    this.#awaitBytes();
    this.clientClosed = goneOf(client);
    this.closed = this.#close();
  }

  /** To be called once the flows are as a test wants them from the first byte on. */
  async run(): Promise<void> {
    await Promise.all([this.up.run(), this.down.run()]);
  }

  /** RST to both sides. */
  cut(): void {
    this.#tear();
    reset(this.#client);
    reset(this.#target);
  }

  /** FIN to both sides. */
  end(): void {
    this.up.end();
    this.down.end();
  }

  /** Sends what the client sent so far over a connection of its own; resolves to the first bytes of the answer. */
  async replay(): Promise<string> {
    const socket = connect(this.#targetPort, '127.0.0.1');
    try {
      socket.write(this.up.recorded);
      const [answer]: unknown[] = await once(socket, 'data');
      return String(answer);
    } finally {
      socket.destroy();
    }
  }

  #awaitBytes(): void {
    this.#idleTimer?.cancel();
    if (this.#torn.signal.aborted) return;
    this.#idleTimer = this.#idle?.clock.after(this.#idle.ms, () => this.cut());
  }

  async #close(): Promise<void> {
    await Promise.all([this.clientClosed, goneOf(this.#target)]);
    this.#tear();
  }

  #tear(): void {
    this.#idleTimer?.cancel();
    this.up.flow = 'discard';
    this.down.flow = 'discard';
    this.#torn.abort();
  }
}

/** A TCP proxy on loopback that does to connections what networks do, and what only a test can wait for. */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server = createServer({ allowHalfOpen: true, noDelay: true });
  readonly #sockets = new Set<Socket>();
  readonly #runs = new Set<Promise<void>>();
  /** Every connection that was passed on, oldest first. */
  readonly connections: ProxiedConnection[] = [];
  /** Connections that came, those included that were not passed on. */
  accepted = 0;
  /** For new connections. */
  door: Door = 'open';
  /** Arranges the faults of a new connection before its first byte. */
  arrange: (connection: ProxiedConnection) => void = () => {};
  /** New connections are cut when no byte came for so long in either direction, as load balancers do. */
  idleMs: number | undefined;
  /** Measures `idleMs` of new connections. */
  clock: Clock = systemClock;
  /** Where new connections go. A test whose manager must know the proxy's address sets it later. */
  targetPort: number;
  #port = 0;

  private constructor(targetPort: number) {
    this.targetPort = targetPort;
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  static async start(targetPort = 0): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#port = await listenOnLoopback(proxy.#server);
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The newest connection that was passed on. */
  get latest(): ProxiedConnection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('nobody has connected through the proxy');
    return connection;
  }

  /** RST to both sides of every connection. */
  cutAll(): void {
    for (const connection of this.connections) connection.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cutAll();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([closed, ...this.#runs, ...this.connections.map((connection) => connection.closed)]);
  }

  #accept(client: Socket): void {
    this.accepted += 1;
    this.#own(client);
    const { door } = this;
    if (door === 'open') return this.#forward(client);
    if (door === 'refuse') reset(client);
    else if (door === 'close') client.end();
    else if (door === 'silent') client.resume();
    else this.#follow(answerHead(client, door.answer));
  }

  #forward(client: Socket): void {
    const target = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#own(target);
    const { idleMs, clock } = this;
    const idle = idleMs === undefined ? undefined : { ms: idleMs, clock };
    const connection = new ProxiedConnection(client, target, this.targetPort, idle);
    this.connections.push(connection);
    this.arrange(connection);
    this.#follow(connection.run());
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    // Resets are this proxy's trade; lanes see them as the end of their loop.
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #follow(run: Promise<void>): void {
    const followed = run.finally(() => this.#runs.delete(followed));
    this.#runs.add(followed);
  }
}

/** Answers whatever was asked as soon as it was asked, and closes. */
async function answerHead(client: Socket, answer: string): Promise<void> {
  let head = '';
  try {
    for await (const chunk of client.iterator({ destroyOnReturn: false })) {
      head += String(chunk);
      if (head.includes(BLANK_LINE)) break;
    }
    client.end(answer);
  } catch {
    // The client has gone before its question was out; there is nobody left to answer.
  }
  client.resume();
}

async function goneOf(socket: Socket): Promise<void> {
  if (socket.closed) return;
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** An HTTP answer as a proxy, a portal or a load balancer on the way gives it. */
export function httpAnswer(status: string, headers: Record<string, string> = {}, body = ''): string {
  const lines = Object.entries({
    connection: 'close',
    'content-type': 'text/html',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status}`, ...lines, '', body].join('\r\n');
}
