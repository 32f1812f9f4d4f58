import { randomUUID } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import { deferred, Mailbox } from '../kit/flow.ts';
import { systemClock, toTimestamp, type Timer } from '../kit/time.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { decodeToManager, encodeToDelegate, ProtocolViolation } from '../protocol/codec.ts';
import { MAX_CLOSE_REASON_BYTES, MAX_FRAME_BYTES, MAX_LISTED_TASKS } from '../protocol/limits.ts';
import {
  keyOf,
  type DelegateIdentity,
  type Hello,
  type TaskAssign,
  type TaskRef,
  type ToDelegate,
  type ToManager,
} from '../protocol/messages.ts';
import { buildNumber } from '../protocol/version.ts';
import type { Settings } from './options.ts';
import { normalTag } from './placement.ts';
import type { Scheduler } from './scheduler.ts';
import type { Seat } from './seats.ts';
import type { DelegateRecord } from './store.ts';

/**
 * One read from the socket (64 KiB) may hold several thousand of the smallest frames at once, and the loop runs
 * between reads; a box that fills up is a peer that floods.
 */
const MAX_QUEUED_FRAMES = 8_192;
/** Unsent bytes after which the peer counts as not reading. */
const MAX_UNSENT_BYTES = 16 * MAX_FRAME_BYTES;
/** From our close frame to the end of the connection, whatever the peer does. */
const CLOSE_GRACE_MS = 1_000;
/** A drained session that is still here this long after its time to move is closed. */
const DRAIN_GRACE_MS = 5_000;

export interface SessionHost {
  /**
   * Before `welcome`: takes the place of a session on an older connection of the same delegate. Throws
   * `ProtocolViolation` when it is this connection that is the older one.
   */
  readonly opening: (session: Session, hello: Hello) => void;
  /** After `welcome`. */
  readonly opened: (session: Session) => void;
  /** No frame will be handled or sent any more; the socket may still be closing. */
  readonly left: (session: Session) => void;
  readonly closed: (session: Session, code: number) => void;
}

/** What a session shows of itself. */
export interface SessionSnapshot {
  readonly sessionId: string;
  readonly delegateId: string;
  readonly name: string;
  readonly version: string;
  readonly tags: readonly string[];
  readonly capabilities: readonly string[];
  readonly since: string;
  readonly granted: number;
  readonly assigned: number;
  readonly taking: 'tasks' | 'paused' | 'leaving';
  readonly unknownFrames: number;
}

/**
 * ```
 *  awaiting-hello ── hello ──► open ──► closing ──► closed
 *         └───── 4400, 4401, 4408, 4426 ───▲
 * ```
 */
type Phase = 'awaiting-hello' | 'open' | 'closing' | 'closed';

/** One WebSocket connection, from the upgrade to its end. Its handlers are bound to this object alone. */
export class Session implements Seat {
  readonly sessionId = randomUUID();
  readonly delegateId: string;
  readonly since: string;
  readonly openedAt: number;
  readonly #record: DelegateRecord;
  readonly #socket: WebSocket;
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #host: SessionHost;
  readonly #frames = new Mailbox<{ data: RawData; binary: boolean }>(MAX_QUEUED_FRAMES);
  readonly #socketClosed = deferred<void>();
  /** Attempts to be named in the next `heartbeat.ack`. */
  readonly #disowned = new Map<string, TaskRef>();
  #phase: Phase = 'awaiting-hello';
  #identity: DelegateIdentity;
  #hello: Hello | undefined;
  #tags: ReadonlySet<string> = new Set();
  #overdue: Timer;
  #drained: Timer | undefined;
  #closeGrace: Timer | undefined;
  #granted = 0;
  #assigned = 0;
  #taking: SessionSnapshot['taking'] = 'tasks';
  #unknownFrames = 0;

  constructor(
    socket: WebSocket,
    delegate: DelegateRecord,
    deps: { settings: Settings; scheduler: Scheduler; host: SessionHost },
  ) {
    this.#socket = socket;
    this.#record = delegate;
    this.#settings = deps.settings;
    this.#scheduler = deps.scheduler;
    this.#host = deps.host;
    this.delegateId = delegate.delegateId;
    const { name, instanceId, version } = delegate;
    this.#identity = { id: delegate.delegateId, name, instanceId, version };
    this.since = toTimestamp(deps.settings.clock.now());
    this.openedAt = deps.settings.clock.monotonic();
    this.#overdue = this.#closeAfter(deps.settings.helloWithinMs, 'no hello');

    socket.on('message', (data, binary) => {
      if (!this.#frames.put({ data, binary })) {
        this.close(CloseCode.MalformedFrame, 'more frames at once than can be read');
      }
    });
    socket.on('error', (error) => {
      // ws answers a frame over `maxPayload` with 1009 itself, and reads no further.
      this.#settings.log.debug({ ...this.#names(), error: error.message }, 'socket error');
      if (!this.#ending()) this.#leave();
    });
    socket.on('close', (code) => this.#onClose(code));
  }

  /** Reads frames one after the other. Resolves when the connection has ended. */
  async run(): Promise<void> {
    for await (const { data, binary } of this.#frames) {
      if (this.#ending()) break;
      try {
        this.#read(toBytes(data), binary);
      } catch (error) {
        if (error instanceof ProtocolViolation) this.close(error.closeCode, error.message);
        else {
          this.#settings.log.error({ ...this.#names(), error }, 'a frame could not be handled');
          this.#cut();
        }
      }
    }
    await this.#socketClosed.promise;
  }

  // --- as a seat --------------------------------------------------------------------------------------------

  get delegate(): DelegateIdentity {
    return this.#identity;
  }

  get tags(): ReadonlySet<string> {
    return this.#tags;
  }

  get tasks(): Hello['tasks'] {
    return this.#hello?.tasks ?? [];
  }

  get capabilities(): readonly string[] {
    return this.#hello?.capabilities ?? [];
  }

  get freeCredit(): number {
    return this.#phase === 'open' && this.#taking === 'tasks' ? this.#granted - this.#assigned : 0;
  }

  offer(assign: TaskAssign): void {
    this.send(assign);
    this.#assigned += 1;
  }

  disown({ taskId, attempt }: TaskRef): void {
    if (this.#disowned.size >= MAX_LISTED_TASKS) return;
    this.#disowned.set(keyOf({ taskId, attempt }), { taskId, attempt });
  }

  /** Does nothing once the session is closing: what matters is told again in the next one. */
  send(message: ToDelegate): void {
    if (this.#phase !== 'open') return;
    // The limit that `welcome` announces holds from the next frame on.
    const maxFrameBytes = message.type === 'welcome' ? MAX_FRAME_BYTES : this.#settings.maxFrameBytes;
    const text = encodeToDelegate(message, maxFrameBytes);
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#settings.log.warn(this.#names(), 'the delegate does not read; cutting the connection');
      this.#cut();
      return;
    }
    this.#settings.onFrame('sent', this.sessionId, text);
    this.#socket.send(text);
  }

  // --- what the manager orders ------------------------------------------------------------------------------

  pause(reason: string): void {
    if (this.#taking === 'leaving') return;
    this.#taking = 'paused';
    this.send({ type: 'pause', reason });
  }

  resume(): void {
    if (this.#taking !== 'paused') return;
    this.#taking = 'tasks';
    this.send({ type: 'resume' });
  }

  /** Asks the delegate to move to another node; closes the session if it stays. */
  drain(reason: string, reconnectAfterMs: number): void {
    this.#taking = 'leaving';
    this.send({ type: 'drain', reason, reconnectAfterMs });
    this.#drained ??= this.#settings.clock.after(reconnectAfterMs + DRAIN_GRACE_MS, () =>
      this.close(CloseCode.GoingAway, reason),
    );
  }

  /** Idempotent. The connection ends within the close grace; `run` resolves then. */
  close(code: CloseCode, reason: string): void {
    if (this.#ending()) return;
    this.#leave();
    this.#settings.log.info({ ...this.#names(), code, reason }, 'closing the session');
    this.#socket.close(code, closeReason(reason));
  }

  snapshot(): SessionSnapshot {
    return {
      sessionId: this.sessionId,
      delegateId: this.delegateId,
      name: this.#identity.name,
      version: this.#identity.version,
      tags: [...this.tags],
      capabilities: this.capabilities,
      since: this.since,
      granted: this.#granted,
      assigned: this.#assigned,
      taking: this.#taking,
      unknownFrames: this.#unknownFrames,
    };
  }

  // --- frames -----------------------------------------------------------------------------------------------

  #read(bytes: Buffer, binary: boolean): void {
    if (!binary) this.#settings.onFrame('received', this.sessionId, bytes.toString('utf8'));
    if (this.#phase === 'open' && bytes.byteLength > this.#settings.maxFrameBytes) {
      throw new ProtocolViolation(`frame of ${bytes.byteLength} bytes`, CloseCode.FrameTooLarge);
    }
    const decoded = decodeToManager({ bytes, binary });
    if (!decoded.known) {
      this.#unknownFrames += 1;
      this.#settings.log.debug({ ...this.#names(), type: decoded.type }, 'ignored a frame of unknown type');
    } else if (this.#phase === 'open') {
      this.#handle(decoded.message);
    } else {
      if (decoded.message.type !== 'hello') throw new ProtocolViolation('hello must come first');
      this.#open(decoded.message);
    }
  }

  #open(hello: Hello): void {
    if (hello.delegate.id !== this.delegateId || hello.delegate.instanceId !== this.#record.instanceId) {
      throw new ProtocolViolation(
        'hello names another delegate than the connect token',
        CloseCode.NotAuthenticated,
      );
    }
    const { minBuildToConnect, clock, heartbeatMs, leaseMs, maxFrameBytes } = this.#settings;
    if ((buildNumber(hello.delegate.version) ?? 0) < minBuildToConnect) {
      throw new ProtocolViolation(
        `delegate build ${minBuildToConnect} or higher is needed; this is ${hello.delegate.version}`,
        CloseCode.TooOld,
      );
    }
    const { id, name, instanceId, version } = hello.delegate;
    this.#identity = { id, name, instanceId, version };
    this.#hello = hello;
    this.#tags = new Set([name, ...hello.tags].map(normalTag));
    this.#host.opening(this, hello);
    this.#phase = 'open';
    this.#expectHeartbeat();
    const lost = this.#scheduler.reconcile(this, hello);
    const { sessionId } = this;
    const managerTime = toTimestamp(clock.now());
    this.send({ type: 'welcome', sessionId, managerTime, heartbeatMs, leaseMs, maxFrameBytes, lost });
    this.#host.opened(this);
  }

  #handle(message: ToManager): void {
    switch (message.type) {
      case 'hello':
        throw new ProtocolViolation('a second hello');
      case 'credit':
        if (message.granted < this.#granted) throw new ProtocolViolation('credit went down');
        this.#granted = message.granted;
        return this.#scheduler.creditChanged();
      case 'task.accept':
        return this.#scheduler.accepted(this, message);
      case 'task.reject':
        return this.#scheduler.rejected(this, message);
      case 'task.progress':
        return this.#scheduler.progressed(this, message);
      case 'task.result':
        return this.#scheduler.finished(this, message);
      case 'heartbeat': {
        this.#expectHeartbeat();
        return this.#acknowledge(message.seq, this.#scheduler.renewed(this, message.running));
      }
      case 'draining':
        this.#taking = 'leaving';
        return;
      case 'goodbye':
        this.#taking = 'leaving';
        this.#scheduler.left(this, message.unacknowledged);
    }
  }

  /**
   * What the delegate listed in vain comes first: that is what it works on in vain. What has no room is told in the
   * next answer: the delegate lists its own again, the others are kept here.
   */
  #acknowledge(seq: number, listed: readonly TaskRef[]): void {
    const untold = new Map(listed.map((ref) => [keyOf(ref), ref]));
    for (const [key, ref] of this.#disowned) untold.set(key, ref);
    const bare = encodeToDelegate({ type: 'heartbeat.ack', seq, lost: [] });
    const roomBytes = this.#settings.maxFrameBytes - Buffer.byteLength(bare);
    const lost = fitting(untold.values(), roomBytes);
    for (const ref of lost) this.#disowned.delete(keyOf(ref));
    this.send({ type: 'heartbeat.ack', seq, lost });
  }

  #expectHeartbeat(): void {
    this.#overdue.cancel();
    this.#overdue = this.#closeAfter(this.#settings.leaseMs, 'no heartbeat');
  }

  #closeAfter(ms: number, reason: string): Timer {
    return this.#settings.clock.after(ms, () => this.close(CloseCode.Overdue, reason));
  }

  // --- the end ----------------------------------------------------------------------------------------------

  #onClose(code: number): void {
    if (!this.#ending()) this.#leave();
    this.#phase = 'closed';
    this.#closeGrace?.cancel();
    this.#host.closed(this, code);
    this.#socketClosed.resolve();
  }

  #leave(): void {
    this.#phase = 'closing';
    this.#overdue.cancel();
    this.#drained?.cancel();
    this.#frames.end();
    // Real time even under a manual clock: what it bounds is a peer's socket, not a duration of the protocol.
    this.#closeGrace = systemClock.after(CLOSE_GRACE_MS, () => this.#socket.terminate());
    this.#host.left(this);
  }

  #cut(): void {
    if (!this.#ending()) this.#leave();
    this.#socket.terminate();
  }

  #ending(): boolean {
    return this.#phase === 'closing' || this.#phase === 'closed';
  }

  #names(): { sessionId: string; delegateId: string } {
    return { sessionId: this.sessionId, delegateId: this.delegateId };
  }
}

function toBytes(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/** The first of them, as many as one list may name and these bytes of JSON hold, commas included. */
function fitting(refs: Iterable<TaskRef>, roomBytes: number): TaskRef[] {
  const taken: TaskRef[] = [];
  let usedBytes = 0;
  for (const ref of refs) {
    usedBytes += Buffer.byteLength(JSON.stringify(ref)) + 1;
    if (usedBytes > roomBytes || taken.length === MAX_LISTED_TASKS) break;
    taken.push(ref);
  }
  return taken;
}

/** RFC 6455 bounds the reason in bytes; `encodeInto` does not cut a character in two. */
function closeReason(text: string): Buffer {
  const bytes = new Uint8Array(MAX_CLOSE_REASON_BYTES);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return Buffer.from(bytes.subarray(0, written));
}
