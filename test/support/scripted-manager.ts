import { once } from 'node:events';
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { toTimestamp } from '../../src/kit/time.ts';
import { decodeToManager, encodeToDelegate } from '../../src/protocol/codec.ts';
import { enrolRequestSchema, type EnrolRequest } from '../../src/protocol/enrolment.ts';
import { CONNECT_PATH, ENROLL_PATH, MAX_FRAME_BYTES, SUBPROTOCOL } from '../../src/protocol/limits.ts';
import type { TaskRef, ToDelegate, ToManager, Welcome } from '../../src/protocol/messages.ts';
import { listenOnLoopback } from './listen.ts';
import { until, within } from './until.ts';

/** A manager by hand: it says what the test says, also when that is wrong. */

export interface HttpAnswer {
  status: number;
  headers?: Record<string, string>;
  /** JSON, unless it is a string. */
  body?: unknown;
}

/** What the manager does by itself. The test changes it at any time; connections look at each frame. */
export interface ManagerScript {
  welcome: Partial<Welcome> | 'never';
  ackHeartbeats: boolean;
  ackAccepts: boolean;
  ackResults: boolean;
  enrolment: HttpAnswer;
  /** An HTTP answer instead of 101; `never` leaves the upgrade without any. */
  upgrade: 'accept' | 'never' | HttpAnswer;
}

const DELEGATE_ID = 'dlg-1';

/** What a manager answers a delegate that it has revoked. */
export const REVOCATION = {
  status: 403,
  body: { error: { code: 'revoked', message: 'This delegate was revoked.' } },
} as const;

function defaultScript(): ManagerScript {
  return {
    welcome: {},
    ackHeartbeats: true,
    ackAccepts: true,
    ackResults: true,
    enrolment: { status: 201, body: { delegateId: DELEGATE_ID } },
    upgrade: 'accept',
  };
}

export class ScriptedManager implements AsyncDisposable {
  readonly script: ManagerScript;
  readonly enrolments: EnrolRequest[] = [];
  /** All that it was sent, oldest first, but for bearers: each request in one text, and each frame as it came. */
  readonly heard: string[] = [];
  /** The bearer of each upgrade request, refused ones included. */
  readonly connectTokens: string[] = [];
  /** Every connection that was upgraded, oldest first. */
  readonly connections: ScriptedConnection[] = [];
  readonly #http: Server = createServer();
  readonly #ws = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: 4 * MAX_FRAME_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  });
  readonly #held = new Set<Duplex>();
  #asked = 0;
  #port = 0;

  private constructor(script: Partial<ManagerScript>) {
    this.script = { ...defaultScript(), ...script };
    this.#http.on('request', (request, response) => void this.#enrol(request, response));
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  static async start(script: Partial<ManagerScript> = {}): Promise<ScriptedManager> {
    const manager = new ScriptedManager(script);
    manager.#port = await listenOnLoopback(manager.#http);
    return manager;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The next connection that nobody has asked for. */
  async nextConnection(): Promise<ScriptedConnection> {
    const index = this.#asked;
    this.#asked += 1;
    await until(`connection ${index + 1}`, () => this.connections.length > index);
    const connection = this.connections[index];
    if (connection === undefined) throw new Error('it was there');
    return connection;
  }

  /** The next connection, once it is welcomed and has credit. */
  async nextSession(): Promise<ScriptedConnection> {
    const connection = await this.nextConnection();
    await connection.next('credit');
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.connections) connection.drop();
    for (const socket of this.#held) socket.destroy();
    this.#ws.close();
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await closed;
  }

  async #enrol(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    this.#hear(request, text);
    if (request.url === ENROLL_PATH) this.enrolments.push(enrolRequestSchema.parse(JSON.parse(text)));
    const { status, headers, body } = this.script.enrolment;
    response.writeHead(status, { connection: 'close', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body ?? {}));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#held.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#held.delete(socket));
    this.connectTokens.push(request.headers.authorization?.replace('Bearer ', '') ?? '');
    this.#hear(request, head.toString());
    const { upgrade } = this.script;
    if (upgrade === 'never') return;
    if (upgrade !== 'accept' || request.url !== CONNECT_PATH) {
      socket.end(httpText(upgrade === 'accept' ? { status: 404 } : upgrade));
      return;
    }
    this.#ws.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (data) => {
        if (Buffer.isBuffer(data)) this.heard.push(data.toString());
      });
      this.connections.push(new ScriptedConnection(webSocket, () => this.script));
    });
  }

  #hear({ method, url, headers }: IncomingMessage, body: string): void {
    const { authorization: _, ...others } = headers;
    this.heard.push(JSON.stringify({ method, url, headers: others, body }));
  }
}

function httpText({ status, headers = {}, body = '' }: HttpAnswer): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const lines = Object.entries({
    connection: 'close',
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', text].join('\r\n');
}

type ToManagerType = ToManager['type'];
type Frame<T extends ToManagerType> = Extract<ToManager, { type: T }>;

export class ScriptedConnection {
  /** Everything that the delegate sent, oldest first. */
  readonly received: ToManager[] = [];
  readonly #unread: ToManager[] = [];
  readonly #socket: WebSocket;
  readonly #script: () => ManagerScript;
  readonly #closed: Deferred<{ code: number; reason: string }> = deferred();
  #arrival: Deferred<void> = deferred();
  #isOpen = true;

  constructor(socket: WebSocket, script: () => ManagerScript) {
    this.#socket = socket;
    this.#script = script;
    socket.on('error', () => {});
    socket.on('message', (data, binary) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('ws hands out buffers');
      const decoded = decodeToManager({ bytes: data, binary });
      if (!decoded.known) throw new TypeError(`the delegate sent ${decoded.type}`);
      this.#take(decoded.message);
    });
    socket.on('close', (code, reason) => {
      this.#isOpen = false;
      this.#closed.resolve({ code, reason: reason.toString() });
      this.#arrival.resolve();
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How it ended; rejects if it does not. */
  closed(): Promise<{ code: number; reason: string }> {
    return within('the connection to close', this.#closed.promise);
  }

  /** The next unread frame of this type; frames of other types stay unread. */
  async next<T extends ToManagerType>(type: T): Promise<Frame<T>> {
    return await within(type, this.#next(type));
  }

  async #next<T extends ToManagerType>(type: T): Promise<Frame<T>> {
    for (;;) {
      const index = this.#unread.findIndex((frame) => frame.type === type);
      const [found] = index < 0 ? [] : this.#unread.splice(index, 1);
      if (found !== undefined && isOfType(found, type)) return found;
      if (!this.#isOpen) throw new Error(`closed while waiting for ${type}`);
      this.#arrival = deferred();
      await this.#arrival.promise;
    }
  }

  all<T extends ToManagerType>(type: T): Frame<T>[] {
    return this.received.filter((frame) => isOfType(frame, type));
  }

  send(message: ToDelegate): void {
    this.sendRaw(encodeToDelegate(message));
  }

  /** Nothing is checked: what a broken manager would send. */
  sendRaw(data: string | Uint8Array, binary = false): void {
    this.#socket.send(data, { binary });
  }

  assign(
    ref: TaskRef,
    name: string,
    changes: Partial<Extract<ToDelegate, { type: 'task.assign' }>> = {},
  ): void {
    this.send({ type: 'task.assign', ...ref, name, version: 1, input: {}, timeoutMs: 60_000, ...changes });
  }

  /** Everything sent so far has been handled by the delegate: an unknown task is answered in its turn. */
  async synchronise(): Promise<void> {
    const ref = { taskId: 'synchronise', attempt: 1 };
    this.assign(ref, 'no.such.task');
    for (;;) if ((await this.next('task.reject')).taskId === ref.taskId) return;
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }

  /** Cuts the line without a close frame. */
  drop(): void {
    this.#socket.terminate();
  }

  /** Reads nothing more; the connection stays. */
  freeze(): void {
    this.#socket.pause();
  }

  #take(message: ToManager): void {
    this.received.push(message);
    this.#unread.push(message);
    this.#answer(message);
    this.#arrival.resolve();
  }

  #answer(message: ToManager): void {
    const script = this.#script();
    switch (message.type) {
      case 'hello':
        if (script.welcome !== 'never') this.send(welcome(script.welcome));
        return;
      case 'heartbeat':
        if (script.ackHeartbeats) this.send({ type: 'heartbeat.ack', seq: message.seq, lost: [] });
        return;
      case 'task.accept':
        if (script.ackAccepts) this.send({ type: 'accept.ack', ...refOf(message) });
        return;
      case 'task.result':
        if (script.ackResults) this.send({ type: 'result.ack', ...refOf(message) });
        return;
      default:
    }
  }
}

export function welcome(changes: Partial<Welcome> = {}): Welcome {
  return {
    type: 'welcome',
    sessionId: 's-1',
    managerTime: toTimestamp(Date.now()),
    heartbeatMs: 10_000,
    leaseMs: 30_000,
    maxFrameBytes: MAX_FRAME_BYTES,
    lost: [],
    ...changes,
  };
}

export function refOf({ taskId, attempt }: TaskRef): TaskRef {
  return { taskId, attempt };
}

function isOfType<T extends ToManagerType>(frame: ToManager, type: T): frame is Frame<T> {
  return frame.type === type;
}
