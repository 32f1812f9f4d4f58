import { deferred, untilAborted, type Deferred } from '../../kit/flow.ts';
import type { Clock, Timer } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import {
  decodeToDelegate,
  encodeToManager,
  ProtocolViolation,
  type WireFrame,
} from '../../protocol/codec.ts';
import { DEAD_AFTER_HEARTBEATS, WELCOME_WITHIN_MS } from '../../protocol/limits.ts';
import type {
  Drain,
  Heartbeat,
  Hello,
  TaskRef,
  ToDelegate,
  ToManager,
  Welcome,
} from '../../protocol/messages.ts';
import type { Channel } from '../tasks/outbox.ts';
import type { CloseInfo, Transport } from './transport.ts';
import type { Workload } from '../tasks/workload.ts';

export interface SessionOptions {
  transport: Transport;
  workload: Workload;
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, 'heartbeatAcknowledged'>;
  hello: () => Hello;
  load: () => Heartbeat['load'];
  /** The next frame is handled when it resolves: it may be a task that is signed with one of them. Never rejects. */
  taskSigningKeys: (signed: string) => Promise<void>;
  signal: AbortSignal;
}

/** Characters of an unknown frame type that the log shows. */
const MAX_LOGGED_TYPE = 64;
/** Unknown frame types that one session counts; a peer that invents more must not fill the memory. */
const MAX_COUNTED_TYPES = 32;

/**
 * One connection, from hello to close. Frames are handled one at a time, in order. It owns its timers and its
 * transport; `ended` resolves when all of them are gone, and never rejects.
 */
export class Session implements Channel {
  readonly #options: SessionOptions;
  readonly #frames: AsyncIterator<WireFrame>;
  readonly #drainAsked: Deferred<Drain> = deferred();
  readonly #beats = new Map<number, { at: number; refs: TaskRef[] }>();
  readonly #welcomedAt: number;
  readonly sessionId: string;
  readonly maxFrameBytes: number;
  /** The close frame seen, or the code that this side closed with. */
  readonly ended: Promise<CloseInfo>;
  /** Until the next heartbeat is due. */
  #beatTimer: Timer | undefined;
  /** Until the connection is dead, unless a heartbeat is acknowledged. */
  #deadTimer: Timer | undefined;
  readonly #heartbeatMs: number;
  /** Frames of types that this version does not know. */
  readonly #unknownFrames = new Map<string, number>();
  #seq = 0;
  #granted = 0;
  #received = 0;
  #paused = false;
  #roundTripMs: number | undefined;
  #leaving = false;
  #hasLeft = false;
  /** Set when it ends. What this side found wins over the code that the socket reports. */
  #closing: CloseInfo | undefined;

  /** Says hello and waits for the welcome. Rejects if there is none; the transport is then gone. */
  static async open(options: SessionOptions): Promise<Session> {
    const { transport, clock, log } = options;
    const frames = transport.frames[Symbol.asyncIterator]();
    const hello = options.hello();
    const overdue = clock.after(WELCOME_WITHIN_MS, () => {
      void transport.close(CloseCode.Overdue, 'no welcome in time');
    });
    const saidAt = clock.monotonic();
    try {
      transport.send(encodeToManager(options.workload.clean(hello)));
      const welcome = await untilAborted(readWelcome(frames, log), options.signal);
      if (welcome === undefined) throw new SessionNotOpened(await transport.closed);
      return new Session(options, frames, { hello, saidAt, welcome });
    } catch (thrown) {
      if (thrown instanceof ProtocolViolation) await transport.close(thrown.closeCode, thrown.message);
      else transport.terminate();
      await transport.closed;
      throw thrown;
    } finally {
      overdue.cancel();
    }
  }

  private constructor(
    options: SessionOptions,
    frames: AsyncIterator<WireFrame>,
    opening: { hello: Hello; saidAt: number; welcome: Welcome },
  ) {
    const { hello, saidAt, welcome } = opening;
    this.#options = options;
    this.#frames = frames;
    this.sessionId = welcome.sessionId;
    this.maxFrameBytes = welcome.maxFrameBytes;
    this.#heartbeatMs = welcome.heartbeatMs;
    this.#welcomedAt = options.clock.monotonic();
    const { workload } = options;
    workload.lost(welcome.lost);
    workload.acceptAcknowledged(hello.running);
    workload.attach(this, welcome.leaseMs);
    // Like a heartbeat, hello counts from its sending: the manager counts from its receipt, never earlier.
    workload.leasesRenewed(hello.running, saidAt);
    this.raiseCredit();
    this.#beatLater();
    this.#awaitAck();
    this.ended = this.#run();
  }

  /** Resolves when this session is to be replaced by another; never rejects. */
  get drainAsked(): Promise<Drain> {
    return this.#drainAsked.promise;
  }

  /** As if the manager had asked for it: now. */
  move(reason: string): void {
    this.#drainAsked.resolve({ type: 'drain', reason, reconnectAfterMs: 0 });
  }

  /** Since the welcome, monotonic milliseconds. */
  get lastedMs(): number {
    return this.#options.clock.monotonic() - this.#welcomedAt;
  }

  /** From the last heartbeat to its acknowledgement, milliseconds; undefined before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Tasks that the manager may send at once: granted, and not used. */
  get credit(): number {
    return Math.max(0, this.#granted - this.#received);
  }

  /** The manager has asked for no more credit for now. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Neither side has closed it, and the connection lives as far as anybody knows. */
  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /** This side has closed it, in order. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** The manager has acknowledged every heartbeat that is due. */
  get healthy(): boolean {
    return this.isOpen && this.#beats.size < DEAD_AFTER_HEARTBEATS;
  }

  send(message: ToManager, onSent?: () => void): boolean {
    if (this.#closing !== undefined) return false;
    const text = this.#encode(message);
    if (text === undefined) return false;
    const { transport } = this.#options;
    const isSent = transport.send(text, onSent);
    // The work that it announces begins in this very turn, and may hold it up.
    if (message.type === 'task.accept') transport.flush();
    return isSent;
  }

  /** Grants what is free now. Never takes back: a grant only grows. */
  raiseCredit(): void {
    if (this.#paused || this.#leaving) return;
    const granted = this.#received + this.#options.workload.freeSlots;
    if (granted <= this.#granted) return;
    this.#granted = granted;
    this.send({ type: 'credit', granted });
  }

  /** Tells the manager that no more credit comes. Heartbeats and results go on. */
  announceDraining(reason: string): void {
    this.#leaving = true;
    this.send({ type: 'draining', reason, running: this.#options.workload.running() });
  }

  /** Closes 1000 without a goodbye, which would give up what runs. Resolves when the connection is gone. */
  async retire(reason: string): Promise<void> {
    if (this.#closing === undefined) this.#hasLeft = true;
    await this.#close(CloseCode.Goodbye, reason);
    await this.ended;
  }

  /** Goodbye and close 1000. Resolves when the connection is gone. */
  async leave(reason: string): Promise<void> {
    const { workload } = this.#options;
    this.send({
      type: 'goodbye',
      reason,
      running: workload.running(),
      unacknowledged: workload.outbox.refs(),
    });
    await this.retire(reason);
  }

  async #run(): Promise<CloseInfo> {
    const { transport, workload, log } = this.#options;
    try {
      for (;;) {
        const next = await this.#frames.next();
        if (next.done === true) break;
        await this.#handle(next.value);
      }
    } catch (thrown) {
      if (thrown instanceof ProtocolViolation) {
        log.warn({ why: thrown.message, code: thrown.closeCode }, 'the manager broke the protocol');
        await this.#close(thrown.closeCode, thrown.message);
      } else {
        // One frame that can't be handled must not end a delegate that holds other tasks.
        log.error({ err: thrown }, 'a frame could not be handled; cutting the connection');
      }
    } finally {
      this.#stopBeating();
      this.#reportUnknownFrames();
      workload.detach(this);
      transport.terminate();
      await transport.closed;
    }
    this.#closing ??= await transport.closed;
    return this.#closing;
  }

  async #handle(frame: WireFrame): Promise<void> {
    if (this.#closing !== undefined) return;
    const decoded = decodeToDelegate(frame);
    if (!decoded.known) return this.#countUnknown(decoded.type);
    await this.#answer(decoded.message);
  }

  async #answer(frame: ToDelegate): Promise<void> {
    const { workload } = this.#options;
    switch (frame.type) {
      case 'welcome':
        throw new ProtocolViolation('welcome: a second one');
      case 'task.assign':
        await workload.assign(frame, this, this.#received < this.#granted);
        // Not before: credit that is raised meanwhile would count it as received, and its slot as free.
        this.#received += 1;
        // One that was not accepted has used up credit and no slot.
        return this.raiseCredit();
      case 'accept.ack':
        return workload.acceptAcknowledged([frame]);
      case 'task.cancel':
        return workload.cancel(frame, frame.reason);
      case 'result.ack':
        return workload.resultAcknowledged(frame);
      case 'heartbeat.ack':
        return this.#beatAcknowledged(frame.seq, frame.lost);
      case 'drain':
        return this.#drainAsked.resolve(frame);
      case 'pause':
        this.#paused = true;
        return;
      case 'resume':
        this.#paused = false;
        return this.raiseCredit();
      case 'task-signing-keys':
        return await this.#options.taskSigningKeys(frame.signed);
      default:
        // A frame that is added to the protocol does not compile until it is answered here.
        frame satisfies never;
    }
  }

  #beatAcknowledged(seq: number, lost: readonly TaskRef[]): void {
    const beat = this.#beats.get(seq);
    if (beat !== undefined) {
      // An ack answers for every earlier heartbeat too.
      for (const earlier of this.#beats.keys()) if (earlier <= seq) this.#beats.delete(earlier);
      this.#roundTripMs = this.#options.clock.monotonic() - beat.at;
      this.#options.metrics.heartbeatAcknowledged(this.#roundTripMs);
      this.#options.workload.leasesRenewed(beat.refs, beat.at);
      this.#awaitAck();
    }
    // Whatever it answers: what the manager has given up must stop.
    this.#options.workload.lost(lost);
  }

  #beatLater(): void {
    this.#beatTimer = this.#options.clock.after(this.#heartbeatMs, () => {
      this.#beat();
      this.#beatLater();
    });
  }

  /** From now on, as long as a connection may be without an acknowledgement. */
  #awaitAck(): void {
    this.#deadTimer?.cancel();
    const timer = this.#options.clock.after(DEAD_AFTER_HEARTBEATS * this.#heartbeatMs, () => {
      // After a blocked event loop timers come first: the ack may be in the socket, and is read in this turn.
      setImmediate(() => {
        if (this.#deadTimer === timer) this.#declareDead();
      });
    });
    this.#deadTimer = timer;
  }

  #stopBeating(): void {
    this.#beatTimer?.cancel();
    this.#deadTimer?.cancel();
    this.#deadTimer = undefined;
  }

  #declareDead(): void {
    const { log, transport } = this.#options;
    log.warn({ heartbeatMs: this.#heartbeatMs }, 'heartbeats are not acknowledged; the connection is dead');
    this.#closing ??= { code: CloseCode.Overdue, reason: 'heartbeat.ack overdue' };
    transport.terminate();
  }

  #countUnknown(type: string): void {
    const name = type.slice(0, MAX_LOGGED_TYPE);
    if (!this.#unknownFrames.has(name) && this.#unknownFrames.size >= MAX_COUNTED_TYPES) return;
    this.#unknownFrames.set(name, (this.#unknownFrames.get(name) ?? 0) + 1);
  }

  #reportUnknownFrames(): void {
    if (this.#unknownFrames.size === 0) return;
    const frames = Object.fromEntries(this.#unknownFrames);
    this.#options.log.info({ frames }, 'frames of unknown types were ignored');
  }

  #beat(): void {
    const { workload, clock, load } = this.#options;
    const seq = this.#seq++;
    const refs = workload.running();
    this.#beats.set(seq, { at: clock.monotonic(), refs });
    this.send({ type: 'heartbeat', seq, running: refs, load: load() });
  }

  /**
   * Undefined for what the manager would refuse to read. That leaves a list too long for a `maxFrameBytes` that
   * was set without thought for it: a heartbeat that is not sent ends the session in good order, an error thrown
   * from its timer would end the process.
   */
  #encode(message: ToManager): string | undefined {
    try {
      return encodeToManager(this.#options.workload.clean(message), this.maxFrameBytes);
    } catch (thrown) {
      if (!(thrown instanceof ProtocolViolation)) throw thrown;
      this.#options.log.error({ type: message.type, why: thrown.message }, 'a frame cannot be sent');
      return undefined;
    }
  }

  async #close(code: CloseCode, reason: string): Promise<void> {
    this.#closing ??= { code, reason };
    // No acknowledgement is read any more, and a peer that is slow to close is not dead.
    this.#stopBeating();
    await this.#options.transport.close(code, reason);
  }
}

/** The connection ended before the welcome. */
export class SessionNotOpened extends Error {
  override readonly name = 'SessionNotOpened';
  readonly end: CloseInfo;

  constructor(end: CloseInfo) {
    super(`closed with ${end.code} before the welcome`);
    this.end = end;
  }
}

/** Undefined if the connection ended first. */
async function readWelcome(frames: AsyncIterator<WireFrame>, log: Logger): Promise<Welcome | undefined> {
  for (;;) {
    const next = await frames.next();
    if (next.done === true) return undefined;
    const decoded = decodeToDelegate(next.value);
    if (!decoded.known) {
      log.debug({ type: decoded.type.slice(0, MAX_LOGGED_TYPE) }, 'frame of an unknown type ignored');
    } else if (decoded.message.type === 'welcome') return decoded.message;
    else throw new ProtocolViolation(`${decoded.message.type}: before welcome`);
  }
}
