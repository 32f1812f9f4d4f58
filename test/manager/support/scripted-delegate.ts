import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import { decodeToDelegate } from '../../../src/protocol/codec.ts';
import { ed25519PublicJwkSchema, type Ed25519PublicJwk } from '../../../src/protocol/enrolment.ts';
import type { Hello, TaskRef, ToDelegate, ToManager } from '../../../src/protocol/messages.ts';
import type { Manager } from '../../../src/manager/manager.ts';
import type { TaskError } from '../../../src/manager/store.ts';

/** A delegate by hand: it says what the test says, also when that is wrong. */

export interface Identity {
  readonly name: string;
  readonly version: string;
  readonly instanceId: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: Ed25519PublicJwk;
  readonly thumbprint: string;
}

export interface Enrolled extends Identity {
  readonly delegateId: string;
}

export async function createIdentity(name = 'eu-1', version = '26.11.90100'): Promise<Identity> {
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const publicKey = ed25519PublicJwkSchema.parse(await exportJWK(pair.publicKey));
  const { kty, crv, x } = publicKey;
  const thumbprint = await calculateJwkThumbprint({ kty, crv, x });
  return { name, version, instanceId: randomUUID(), privateKey: pair.privateKey, publicKey, thumbprint };
}

interface EnrolAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export async function postEnrol(manager: Manager, token: string, body: unknown): Promise<EnrolAnswer> {
  const response = await fetch(`${manager.url}/delegate/v1/enroll`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export function enrolBody({ name, instanceId, publicKey, version }: Identity): object {
  return { name, instanceId, publicKey, version };
}

export async function enrol(manager: Manager, name?: string, version?: string): Promise<Enrolled> {
  const identity = await createIdentity(name, version);
  const token = manager.createEnrolmentToken().value.reveal();
  const { body } = await postEnrol(manager, token, enrolBody(identity));
  return { ...identity, ...z.object({ delegateId: z.string() }).parse(body) };
}

export interface TokenChanges {
  readonly aud?: string;
  readonly iatS?: number;
  readonly lifeS?: number;
  readonly jti?: string;
  readonly typ?: string;
  readonly iss?: string;
  readonly sub?: string;
  readonly key?: CryptoKey;
  readonly kid?: string;
}

export function connectToken(manager: Manager, who: Enrolled, changes: TokenChanges = {}): Promise<string> {
  const iat = changes.iatS ?? Math.floor(Date.now() / 1000);
  return new SignJWT({ jti: changes.jti ?? randomUUID() })
    .setProtectedHeader({
      alg: 'EdDSA',
      typ: changes.typ ?? 'delegate+jwt',
      kid: changes.kid ?? who.thumbprint,
    })
    .setIssuer(changes.iss ?? who.delegateId)
    .setSubject(changes.sub ?? who.delegateId)
    .setAudience(changes.aud ?? manager.publicUrl)
    .setIssuedAt(iat)
    .setExpirationTime(iat + (changes.lifeS ?? 60))
    .sign(changes.key ?? who.privateKey);
}

/** The HTTP status that answers an upgrade: 101 if it went through. */
export async function upgradeStatus(
  manager: Manager,
  token: string | undefined,
  subprotocols: string[] = ['delegate.v1'],
): Promise<number> {
  const socket = openSocket(manager, token, subprotocols);
  const answer = deferred<number>();
  socket.on('upgrade', (response) => answer.resolve(response.statusCode ?? 0));
  socket.on('unexpected-response', (request, response) => {
    answer.resolve(response.statusCode ?? 0);
    response.resume();
    request.destroy();
  });
  socket.on('error', () => {});
  const status = await answer.promise;
  socket.terminate();
  return status;
}

function openSocket(manager: Manager, token: string | undefined, subprotocols: string[]): WebSocket {
  return new WebSocket(`${manager.url.replace('http', 'ws')}/delegate/v1/connect`, subprotocols, {
    perMessageDeflate: false,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
}

type ToDelegateType = ToDelegate['type'];
type Frame<T extends ToDelegateType> = Extract<ToDelegate, { type: T }>;

interface HelloChanges {
  readonly tags?: string[];
  readonly tasks?: Hello['tasks'];
  readonly capabilities?: string[];
  readonly running?: TaskRef[];
  readonly unacknowledged?: TaskRef[];
  readonly delegateId?: string;
  readonly version?: string;
  readonly token?: TokenChanges;
}

export class ScriptedDelegate {
  readonly who: Enrolled;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly received: ToDelegate[] = [];
  readonly #socket: WebSocket;
  readonly #unread: ToDelegate[] = [];
  #arrival: Deferred<void> = deferred();
  #beat = 0;

  private constructor(who: Enrolled, socket: WebSocket) {
    this.who = who;
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('message', (data, binary) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('ws hands out buffers');
      const decoded = decodeToDelegate({ bytes: data, binary });
      if (!decoded.known) throw new TypeError(`the manager sent ${decoded.type}`);
      this.received.push(decoded.message);
      this.#unread.push(decoded.message);
      this.#arrival.resolve();
    });
    const closed = deferred<{ code: number; reason: string }>();
    socket.on('close', (code, reason) => closed.resolve({ code, reason: reason.toString() }));
    this.closed = closed.promise;
  }

  /** Connected, and silent. */
  static async connect(manager: Manager, who: Enrolled, changes?: TokenChanges): Promise<ScriptedDelegate> {
    const socket = openSocket(manager, await connectToken(manager, who, changes), ['delegate.v1']);
    const delegate = new ScriptedDelegate(who, socket);
    await once(socket, 'open');
    return delegate;
  }

  /** Connected, welcomed, and with this much credit. */
  static async join(manager: Manager, who: Enrolled, credit = 0, changes: HelloChanges = {}) {
    const delegate = await ScriptedDelegate.connect(manager, who, changes.token);
    delegate.hello(changes);
    const welcome = await delegate.next('welcome');
    if (credit > 0) delegate.send({ type: 'credit', granted: credit });
    return { delegate, welcome };
  }

  hello(changes: HelloChanges = {}): void {
    this.send({
      type: 'hello',
      delegate: {
        id: changes.delegateId ?? this.who.delegateId,
        name: this.who.name,
        instanceId: this.who.instanceId,
        version: changes.version ?? this.who.version,
      },
      tags: changes.tags ?? ['eu'],
      tasks: changes.tasks ?? [
        { name: 'demo.read', version: 1 },
        { name: 'demo.write', version: 1, effect: 'writes' },
        { name: 'servicenow.connector.validate', version: 1 },
        { name: 'servicenow.approval.check', version: 1 },
      ],
      capabilities: changes.capabilities ?? [],
      capacity: 4,
      running: changes.running ?? [],
      unacknowledged: changes.unacknowledged ?? [],
      policyHash: null,
    });
  }

  send(message: ToManager): void {
    this.sendRaw(JSON.stringify(message));
  }

  sendRaw(data: string | Buffer, binary = false): void {
    this.#socket.send(data, { binary });
  }

  accept({ taskId, attempt }: TaskRef): void {
    this.send({ type: 'task.accept', taskId, attempt });
  }

  succeed({ taskId, attempt }: TaskRef, output: z.infer<ReturnType<typeof z.json>> = { done: true }): void {
    this.send({ ...this.#resultOf(taskId, attempt), outcome: 'succeeded', output });
  }

  fail(
    { taskId, attempt }: TaskRef,
    error: Pick<TaskError, 'code' | 'retryable'> & Partial<TaskError>,
    outcome: 'failed' | 'cancelled' | 'unknown' = 'failed',
  ): void {
    this.send({
      ...this.#resultOf(taskId, attempt),
      outcome,
      error: { message: 'as the script says', category: 'unavailable', ...error },
    });
  }

  /** Beats once and returns what the manager has taken away. */
  async beat(running: TaskRef[] = []): Promise<TaskRef[]> {
    const seq = (this.#beat += 1);
    const load = { running: running.length, queued: 0, eventLoopDelayMs: 0, rssBytes: 1 };
    this.send({ type: 'heartbeat', seq, running, load });
    for (;;) {
      const ack = await this.next('heartbeat.ack');
      if (ack.seq === seq) return ack.lost;
    }
  }

  /** Says goodbye with what it gives up and what it still owes a result for. */
  goodbye(said: { running?: TaskRef[]; unacknowledged?: TaskRef[] } = {}): void {
    this.send({ type: 'goodbye', reason: 'stop', running: [], unacknowledged: [], ...said });
  }

  /** Everything sent so far has been read by the manager, and its answers are here. */
  async synchronise(): Promise<void> {
    await this.beat();
  }

  /** The next unread frame of this type; frames of other types stay unread. */
  async next<T extends ToDelegateType>(type: T): Promise<Frame<T>> {
    for (;;) {
      const index = this.#unread.findIndex((frame) => frame.type === type);
      const [found] = index < 0 ? [] : this.#unread.splice(index, 1);
      if (found !== undefined && isOfType(found, type)) return found;
      this.#arrival = deferred();
      const ended = await Promise.race([this.#arrival.promise, this.closed]);
      if (ended !== undefined && !this.#unread.some((frame) => frame.type === type)) {
        throw new Error(`closed with ${ended.code} ${ended.reason} while waiting for ${type}`);
      }
    }
  }

  /** Frames of this type that nobody has asked for yet. */
  unread(type: ToDelegateType): number {
    return this.#unread.filter((frame) => frame.type === type).length;
  }

  /** As a process that dies: no goodbye, no close frame. */
  async vanish(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  /** Reads nothing more, not even a close frame. */
  freeze(): void {
    this.#socket.pause();
  }

  #resultOf(taskId: string, attempt: number) {
    const { delegateId: id, name, instanceId, version } = this.who;
    const at = new Date().toISOString();
    return {
      type: 'task.result' as const,
      taskId,
      attempt,
      delegate: { id, name, instanceId, version },
      timing: { receivedAt: at, startedAt: at, finishedAt: at, queueMs: 0, runMs: 1 },
    };
  }
}

function isOfType<T extends ToDelegateType>(frame: ToDelegate, type: T): frame is Frame<T> {
  return frame.type === type;
}
