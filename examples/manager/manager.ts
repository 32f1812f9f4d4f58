import { randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { calculateJwkThumbprint, decodeProtectedHeader, importJWK, jwtVerify, type JWK } from 'jose';
import { WebSocketServer, type WebSocket } from 'ws';

/**
 * A manager in one file: it enrols delegates, hands them tasks within their credit, and takes the results. Numbers in
 * brackets are sections of PROTOCOL.md. It keeps everything in memory, checks of a frame what it uses, and never makes
 * a second attempt of a task that was acknowledged, whatever its type does: where the reference manager would, it waits
 * for the delegate that has it, and says `unknown` when that does not come back.
 */

const SUBPROTOCOL = 'delegate.v1';
const MAX_FRAME_BYTES = 1_048_576;
const MAX_BODY_BYTES = 16_384;
const HEARTBEAT_MS = 10_000;
const LEASE_MS = 30_000;
const HELLO_WITHIN_MS = 5_000;
const ACCEPT_WITHIN_MS = 5_000;
const CLOCK_SKEW_S = 60;
/** A connect token is remembered until it could not be used again: its life and the skew on both sides (2.3). */
const TOKEN_REMEMBERED_MS = (60 + 2 * CLOCK_SKEW_S) * 1_000;

const MALFORMED = 4400;
const NOT_AUTHENTICATED = 4401;
const OVERDUE = 4408;
const SUPERSEDED = 4409;
const GOING_AWAY = 1001;

/** What became of a task; `output` or `error` as the delegate sent it. */
export interface Result {
  readonly outcome: string;
  readonly output?: unknown;
  readonly error?: unknown;
}

export interface SmallManagerOptions {
  /** 0: a free one. */
  readonly port: number;
  /** Whoever has it may become a delegate. */
  readonly enrolmentToken: string;
}

interface Task {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
  readonly timeoutMs: number;
  attempt: number;
  at: 'waiting' | 'offered' | 'acknowledged';
  /** The delegate that has the present attempt. */
  holder: string;
  /** When the present attempt was assigned or acknowledged, on the manager's count of events. */
  touched: number;
  timer: NodeJS.Timeout | undefined;
  readonly end: (result: Result) => void;
}

interface Delegate {
  readonly id: string;
  readonly instanceId: string;
  readonly publicKey: JWK;
  session: Session | undefined;
}

type Frame = Readonly<Record<string, unknown>>;
interface Ref {
  readonly taskId: string;
  readonly attempt: number;
}

/** The peer has broken a rule of a frame (3.0): its connection is closed with this code. */
class Violation extends Error {
  readonly code: number;

  constructor(reason: string, code = MALFORMED) {
    super(reason);
    this.code = code;
  }
}

export class SmallManager implements AsyncDisposable {
  readonly #enrolmentToken: Buffer;
  readonly #http: Server = createServer((request, response) => void this.#answer(request, response));
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    handleProtocols: () => SUBPROTOCOL,
  });
  /** By the thumbprint of their key. */
  readonly #delegates = new Map<string, Delegate>();
  readonly #usedTokens = new Map<string, number>();
  readonly #tasks = new Map<string, Task>();
  #events = 0;

  private constructor({ enrolmentToken }: SmallManagerOptions) {
    this.#enrolmentToken = Buffer.from(enrolmentToken);
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      void this.#upgrade(request, socket, head);
    });
  }

  static async start(options: SmallManagerOptions): Promise<SmallManager> {
    const manager = new SmallManager(options);
    manager.#http.listen(options.port, '127.0.0.1');
    await once(manager.#http, 'listening');
    return manager;
  }

  /** What delegates are configured with, and what their connect tokens name. */
  get url(): string {
    const address = this.#http.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#enrol(request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const found = await this.#admit(request);
    if (typeof found === 'number') refuse(socket, found);
    else this.#sockets.handleUpgrade(request, socket, head, (ws) => new Session(this, found, ws));
  }

  /** 2.2 */
  async #enrol(request: IncomingMessage): Promise<{ status: number; body: object }> {
    if (request.method !== 'POST' || request.url !== '/delegate/v1/enroll') return { status: 404, body: {} };
    const given = Buffer.from(bearerOf(request));
    const isKnown =
      given.length === this.#enrolmentToken.length && timingSafeEqual(given, this.#enrolmentToken);
    if (!isKnown) return { status: 401, body: {} };
    try {
      const body = objectOf(JSON.parse(await bodyOf(request)));
      const { kty, crv, x } = objectOf(body['publicKey']);
      const instanceId = textOf(body['instanceId'], 'instanceId');
      if (kty !== 'OKP' || crv !== 'Ed25519') throw new Violation('publicKey');
      const publicKey = { kty, crv, x: textOf(x, 'publicKey.x') };
      const thumbprint = await calculateJwkThumbprint(publicKey);
      const known = this.#delegates.get(thumbprint);
      if (known !== undefined) return { status: 201, body: { delegateId: known.id } };
      const isTaken = [...this.#delegates.values()].some((other) => other.instanceId === instanceId);
      if (isTaken) return { status: 409, body: {} };
      const id = randomUUID();
      this.#delegates.set(thumbprint, { id, instanceId, publicKey, session: undefined });
      return { status: 201, body: { delegateId: id } };
    } catch {
      return { status: 400, body: {} };
    }
  }

  /** 2.3: whose connection it is, or the status that refuses it. */
  async #admit(request: IncomingMessage): Promise<Delegate | number> {
    if (request.url !== '/delegate/v1/connect') return 404;
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (!offered.includes(SUBPROTOCOL)) return 426;
    try {
      const token = bearerOf(request);
      const delegate = this.#delegates.get(decodeProtectedHeader(token).kid ?? '');
      if (delegate === undefined) return 401;
      const { payload } = await jwtVerify(token, await importJWK(delegate.publicKey, 'EdDSA'), {
        algorithms: ['EdDSA'],
        typ: 'delegate+jwt',
        issuer: delegate.id,
        subject: delegate.id,
        audience: this.url,
        clockTolerance: CLOCK_SKEW_S,
        requiredClaims: ['iat', 'exp', 'jti'],
      });
      return this.#isFirstUse(payload.jti ?? '') ? delegate : 401;
    } catch {
      return 401;
    }
  }

  #isFirstUse(jti: string): boolean {
    const now = performance.now();
    for (const [old, usedAt] of this.#usedTokens) {
      if (now - usedAt > TOKEN_REMEMBERED_MS) this.#usedTokens.delete(old);
    }
    if (this.#usedTokens.has(jti)) return false;
    this.#usedTokens.set(jti, now);
    return true;
  }

  /** Resolves with what became of the task; no end is later than `timeoutMs` and a lease after its last assign. */
  async run(name: string, input: unknown, timeoutMs = 60_000): Promise<Result> {
    return await new Promise((resolve) => {
      const task: Task = {
        id: randomUUID(),
        name,
        input,
        timeoutMs,
        attempt: 0,
        at: 'waiting',
        holder: '',
        touched: 0,
        timer: undefined,
        end: resolve,
      };
      this.#tasks.set(task.id, task);
      this.#retime(task, timeoutMs);
      this.assign();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const task of this.#tasks.values()) this.end(task, { outcome: 'unknown' });
    for (const socket of this.#sockets.clients) socket.close(GOING_AWAY, 'the manager ends');
    const closed = once(this.#http, 'close');
    this.#sockets.close();
    this.#http.close();
    this.#http.closeAllConnections();
    await closed;
  }

  /** A number for this moment: what carries a lower one was before it. */
  moment(): number {
    return (this.#events += 1);
  }

  /** Gives waiting tasks to whoever has granted credit for them (3.2). */
  assign(): void {
    const sessions = [...this.#delegates.values()].flatMap(({ session }) => session ?? []);
    for (const task of this.#tasks.values()) {
      const session = task.at === 'waiting' ? sessions.find((one) => one.hasCredit(task)) : undefined;
      if (session === undefined) continue;
      // An attempt that was not answered is never acknowledged later (3.4): the next one has a higher number.
      task.attempt += 1;
      task.at = 'offered';
      task.holder = session.delegateId;
      task.touched = this.moment();
      session.offer(task);
      this.#retime(task, ACCEPT_WITHIN_MS);
    }
  }

  /** The task, if this is the attempt that counts and this delegate has it. */
  current({ taskId, attempt }: Ref, holder: string): Task | undefined {
    const task = this.#tasks.get(taskId);
    return task?.attempt === attempt && task.holder === holder && task.at !== 'waiting' ? task : undefined;
  }

  /** From here on its work may have begun. */
  acknowledge(task: Task): void {
    task.at = 'acknowledged';
    task.touched = this.moment();
    this.#retime(task, task.timeoutMs + LEASE_MS);
  }

  end(task: Task, result: Result): void {
    clearTimeout(task.timer);
    this.#tasks.delete(task.id);
    task.end(result);
  }

  waitAgain(task: Task): void {
    task.at = 'waiting';
    this.#retime(task, task.timeoutMs);
    this.assign();
  }

  /** What a `hello` says of the attempts that this delegate had before its connection was opened (3.4). */
  reconcile(holder: string, openedAt: number, running: readonly Ref[], finished: readonly Ref[]): void {
    const names = (list: readonly Ref[], { id, attempt }: Task): boolean =>
      list.some((ref) => ref.taskId === id && ref.attempt === attempt);
    for (const task of this.#tasks.values()) {
      if (task.holder !== holder || task.at === 'waiting' || task.touched > openedAt) continue;
      if (names(running, task)) this.acknowledge(task);
      else if (names(finished, task)) continue;
      else if (task.at === 'offered') this.waitAgain(task);
      else this.end(task, { outcome: 'unknown' });
    }
  }

  #retime(task: Task, ms: number): void {
    clearTimeout(task.timer);
    task.timer = setTimeout(() => {
      if (task.at === 'offered') this.waitAgain(task);
      else this.end(task, { outcome: task.at === 'waiting' ? 'failed' : 'unknown' });
    }, ms);
  }
}

/** One connection, from its upgrade to its close. */
class Session {
  readonly #manager: SmallManager;
  readonly #delegate: Delegate;
  readonly #socket: WebSocket;
  readonly openedAt: number;
  /** Ends the connection when what must come next has not come. */
  #overdue: NodeJS.Timeout;
  #isOpen = false;
  #takesWork = true;
  #granted = 0;
  #assigned = 0;
  /** `name@version` */
  #types: ReadonlySet<string> = new Set();
  /** Attempts that the delegate must give up; named in the next `heartbeat.ack`. */
  #lost: Ref[] = [];
  /** Frames that a manager reads. Any other type is ignored, also before `hello` (3.0). */
  readonly #handlers: ReadonlyMap<string, (frame: Frame) => void> = new Map([
    ['hello', (frame: Frame) => this.#hello(frame)],
    ['heartbeat', (frame) => this.#heartbeat(frame)],
    ['credit', (frame) => this.#credit(countOf(frame['granted'], 'granted'))],
    ['task.accept', (frame) => this.#accept(refOf(frame))],
    ['task.progress', () => {}],
    ['task.reject', (frame) => this.#reject(refOf(frame), frame)],
    ['task.result', (frame) => this.#result(refOf(frame), frame)],
    ['draining', () => this.#takeNoMore()],
    ['goodbye', () => this.#takeNoMore()],
  ]);

  constructor(manager: SmallManager, delegate: Delegate, socket: WebSocket) {
    this.#manager = manager;
    this.#delegate = delegate;
    this.#socket = socket;
    this.openedAt = manager.moment();
    this.#overdue = setTimeout(() => this.close(OVERDUE, 'hello'), HELLO_WITHIN_MS);
    // What `ws` finds wrong itself, such as a frame over the limit (1009), it closes by itself.
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => this.#take(data, isBinary));
    socket.on('close', () => {
      clearTimeout(this.#overdue);
      if (delegate.session === this) delegate.session = undefined;
    });
  }

  get delegateId(): string {
    return this.#delegate.id;
  }

  hasCredit({ name }: Task): boolean {
    return this.#takesWork && this.#granted > this.#assigned && this.#types.has(`${name}@1`);
  }

  offer({ id: taskId, attempt, name, input, timeoutMs }: Task): void {
    this.#assigned += 1;
    this.#send({ type: 'task.assign', taskId, attempt, name, version: 1, input, timeoutMs });
  }

  close(code: number, reason: string): void {
    this.#takeNoMore();
    this.#socket.close(code, reason);
  }

  #takeNoMore(): void {
    this.#takesWork = false;
  }

  #send(frame: Frame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  #take(data: unknown, isBinary: boolean): void {
    // What still arrives on a connection that is being closed is nobody's any more.
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    try {
      if (isBinary || !Buffer.isBuffer(data)) throw new Violation('a frame is text');
      const frame = objectOf(parse(data.toString('utf8')));
      const type = textOf(frame['type'], 'type');
      if (type === '') throw new Violation('type');
      const handle = this.#handlers.get(type);
      if (handle === undefined) return;
      if ((type === 'hello') === this.#isOpen) throw new Violation(`${type} at this point`);
      handle(frame);
    } catch (thrown) {
      if (!(thrown instanceof Violation)) throw thrown;
      this.close(thrown.code, thrown.message);
    }
  }

  /** 3.1 */
  #hello(frame: Frame): void {
    const { id, instanceId } = objectOf(frame['delegate']);
    if (id !== this.delegateId || instanceId !== this.#delegate.instanceId) {
      throw new Violation('another delegate than the token says', NOT_AUTHENTICATED);
    }
    const running = refsOf(frame['running'], 'running');
    const finished = refsOf(frame['unacknowledged'], 'unacknowledged');
    const types = arrayOf(frame['tasks'], 'tasks').map((type) => objectOf(type));
    this.#types = new Set(types.map(({ name, version }) => `${String(name)}@${String(version)}`));
    const other = this.#delegate.session;
    if (other !== undefined && other.openedAt > this.openedAt) throw new Violation('superseded', SUPERSEDED);
    other?.close(SUPERSEDED, 'a newer session took over');
    this.#delegate.session = this;
    this.#isOpen = true;
    this.#manager.reconcile(this.delegateId, this.openedAt, running, finished);
    this.#send({
      type: 'welcome',
      sessionId: randomUUID(),
      managerTime: new Date().toISOString(),
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
      maxFrameBytes: MAX_FRAME_BYTES,
      lost: this.#notOurs(running),
    });
    this.#expectHeartbeat();
  }

  /** 3.4 */
  #heartbeat(frame: Frame): void {
    const running = refsOf(frame['running'], 'running');
    const lost = [...this.#lost.splice(0), ...this.#notOurs(running)];
    this.#send({ type: 'heartbeat.ack', seq: countOf(frame['seq'], 'seq'), lost });
    this.#expectHeartbeat();
  }

  /** 3.2: a running total. */
  #credit(granted: number): void {
    if (granted < this.#granted) throw new Violation('granted');
    this.#granted = granted;
    this.#manager.assign();
  }

  /** 3.3: what may write begins when it reads the answer, so there is one for the present attempt alone. */
  #accept(ref: Ref): void {
    const task = this.#manager.current(ref, this.delegateId);
    if (task === undefined) {
      this.#lost.push(ref);
      return;
    }
    this.#manager.acknowledge(task);
    this.#send({ type: 'accept.ack', ...ref });
  }

  /** It has not begun. Whether to ask again, for one that drains say, is left to the caller of `run`. */
  #reject(ref: Ref, { code, message }: Frame): void {
    const task = this.#manager.current(ref, this.delegateId);
    const error = { code: textOf(code, 'code'), message };
    if (task !== undefined) this.#manager.end(task, { outcome: 'failed', error });
  }

  /** A result is acknowledged however often it comes, and also when nobody wants it any more. */
  #result(ref: Ref, { outcome, output, error }: Frame): void {
    const task = this.#manager.current(ref, this.delegateId);
    const result = { outcome: textOf(outcome, 'outcome'), output, error };
    if (task !== undefined) this.#manager.end(task, result);
    this.#send({ type: 'result.ack', ...ref });
  }

  #notOurs(running: readonly Ref[]): Ref[] {
    return running.filter((ref) => this.#manager.current(ref, this.delegateId) === undefined);
  }

  #expectHeartbeat(): void {
    clearTimeout(this.#overdue);
    this.#overdue = setTimeout(() => this.close(OVERDUE, 'heartbeat'), LEASE_MS);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Violation('a frame is JSON');
  }
}

function objectOf(value: unknown): Frame {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Violation('an object');
  return Object.fromEntries(Object.entries(value));
}

function arrayOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Violation(name);
  return value;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new Violation(name);
  return value;
}

function countOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Violation(name);
  return value;
}

function refOf(value: unknown): Ref {
  const { taskId, attempt } = objectOf(value);
  return { taskId: textOf(taskId, 'taskId'), attempt: countOf(attempt, 'attempt') };
}

function refsOf(value: unknown, name: string): Ref[] {
  return arrayOf(value, name).map(refOf);
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk);
    if (body.length > MAX_BODY_BYTES) throw new Violation('the body is too long');
  }
  return body;
}

/** With `Date`, by which a delegate with a wrong clock can right its next token. */
function refuse(socket: Duplex, status: number): void {
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, `Date: ${new Date().toUTCString()}`];
  socket.end([...head, 'Connection: close', 'Content-Length: 0', '', ''].join('\r\n'));
}

/** `manager.ts TOKEN_FILE TASK_FILE [PORT]`: has one task done by whoever comes, prints its result, and ends. */
async function main([tokenFile = '', taskFile = '', port = '8081']: readonly string[]): Promise<void> {
  const { name, input } = objectOf(JSON.parse(await readFile(taskFile, 'utf8')));
  const enrolmentToken = (await readFile(tokenFile, 'utf8')).trim();
  await using manager = await SmallManager.start({ port: Number(port), enrolmentToken });
  process.stderr.write(`waiting for a delegate at ${manager.url}\n`);
  const result = await manager.run(textOf(name, 'name'), input);
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2));
