import { deferred, untilAborted, type Deferred } from '../kit/flow.ts';
import type { Clock, Timer } from '../kit/time.ts';
import type { Logger } from '../observability/logger.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { decodeToDelegate, encodeToManager, ProtocolViolation, type WireFrame } from '../protocol/codec.ts';
import { DEAD_AFTER_HEARTBEATS, WELCOME_WITHIN_MS } from '../protocol/limits.ts';
import type {
  Drain,
  Heartbeat,
  Hello,
  TaskRef,
  ToDelegate,
  ToManager,
  Welcome,
} from '../protocol/messages.ts';
import type { Channel } from './outbox.ts';
import type { CloseInfo, Transport } from './transport.ts';
import type { Workload } from './workload.ts';

/** How a session ended: the close frame seen, or the code that this side closed with. */
export interface SessionEnd extends CloseInfo {
  /** How long it had been welcomed, monotonic milliseconds; 0 if it never was. */
  lastedMs: number;
}

export interface SessionOptions {
  transport: Transport;
  workload: Workload;
  clock: Clock;
  log: Logger;
  hello: () => Hello;
  load: () => Heartbeat['load'];
  signal: AbortSignal;
}

/**
 * One connection, from hello to close. Frames are handled one at a time, in order. It owns its timers and its
 * transport; `ended` resolves when all of them are gone.
 */
export class Session implements Channel {
  readonly #options: SessionOptions;
  readonly #frames: AsyncIterator<WireFrame>;
  readonly #drainAsked: Deferred<Drain> = deferred();
  readonly #beats = new Map<number, { at: number; refs: TaskRef[] }>();
  readonly #welcomedAt: number;
  readonly sessionId: string;
  readonly maxFrameBytes: number;
  readonly ended: Promise<SessionEnd>;
  #timer: Timer | undefined;
  #seq = 0;
  #granted = 0;
  #received = 0;
  #paused = false;
  #leaving = false;
  /** Set when this side found the fault; it wins over the code that the socket reports. */
  #closing: CloseInfo | undefined;

  /** Says hello and waits for the welcome. Rejects if there is none; the transport is then gone. */
  static async open(options: SessionOptions): Promise<Session> {
    const { transport, clock, log } = options;
    const frames = transport.frames[Symbol.asyncIterator]();
    const hello = options.hello();
    const overdue = clock.after(WELCOME_WITHIN_MS, () => {
      void transport.close(CloseCode.Overdue, 'no welcome in time');
    });
    try {
      transport.send(encodeToManager(hello));
      const welcome = await untilAborted(readWelcome(frames, log), options.signal);
      if (welcome === undefined) throw new SessionNotOpened(await transport.closed);
      return new Session(options, frames, hello, welcome);
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
    hello: Hello,
    welcome: Welcome,
  ) {
    this.#options = options;
    this.#frames = frames;
    this.sessionId = welcome.sessionId;
    this.maxFrameBytes = welcome.maxFrameBytes;
    this.#welcomedAt = options.clock.monotonic();
    const { workload } = options;
    workload.lost(welcome.lost);
    workload.acceptAcknowledged(hello.running);
    workload.leasesRenewed(hello.running, this.#welcomedAt);
    workload.attach(this, welcome.leaseMs);
    this.raiseCredit();
    this.#beatEvery(welcome.heartbeatMs);
    this.ended = this.#run();
  }

  /** Resolves when the manager asks this session to move; never rejects. */
  get drainAsked(): Promise<Drain> {
    return this.#drainAsked.promise;
  }

  /** The manager has acknowledged every heartbeat that is due. */
  get healthy(): boolean {
    return this.#closing === undefined && this.#beats.size < DEAD_AFTER_HEARTBEATS;
  }

  send(message: ToManager): boolean {
    if (this.#closing !== undefined) return false;
    return this.#options.transport.send(encodeToManager(message, this.maxFrameBytes));
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

  /** No more credit on this session: its successor has it. */
  stopCredit(): void {
    this.#leaving = true;
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
    await this.#close(CloseCode.Goodbye, reason);
    await this.ended;
  }

  async #run(): Promise<SessionEnd> {
    const { transport, workload, clock } = this.#options;
    try {
      for (;;) {
        const next = await this.#frames.next();
        if (next.done === true) break;
        await this.#handle(next.value);
      }
    } catch (thrown) {
      if (!(thrown instanceof ProtocolViolation)) throw thrown;
      this.#options.log.warn(
        { why: thrown.message, code: thrown.closeCode },
        'the manager broke the protocol',
      );
      await this.#close(thrown.closeCode, thrown.message);
    } finally {
      this.#timer?.cancel();
      workload.detach(this);
      transport.terminate();
      await transport.closed;
    }
    return { ...(this.#closing ?? (await transport.closed)), lastedMs: clock.monotonic() - this.#welcomedAt };
  }

  async #handle(frame: WireFrame): Promise<void> {
    if (this.#closing !== undefined) return;
    const decoded = decodeToDelegate(frame);
    if (!decoded.known) {
      this.#options.log.debug({ type: decoded.type }, 'frame of an unknown type ignored');
      return;
    }
    await this.#answer(decoded.message);
  }

  async #answer(frame: ToDelegate): Promise<void> {
    const { workload } = this.#options;
    switch (frame.type) {
      case 'welcome':
        throw new ProtocolViolation('welcome: a second one');
      case 'task.assign':
        this.#received += 1;
        return await workload.assign(frame, this, this.#received <= this.#granted);
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
      default:
        // A frame that is added to the protocol does not compile until it is answered here.
        frame satisfies never;
    }
  }

  #beatAcknowledged(seq: number, lost: readonly TaskRef[]): void {
    const beat = this.#beats.get(seq);
    if (beat === undefined) return;
    // An ack answers for every earlier heartbeat too.
    for (const earlier of this.#beats.keys()) if (earlier <= seq) this.#beats.delete(earlier);
    this.#options.workload.leasesRenewed(beat.refs, beat.at);
    this.#options.workload.lost(lost);
  }

  #beatEvery(heartbeatMs: number): void {
    this.#timer = this.#options.clock.after(heartbeatMs, () => {
      // Counted, not timed: after a blocked event loop the acks may be waiting in the socket, unread.
      if (this.#beats.size >= DEAD_AFTER_HEARTBEATS) {
        this.#options.log.warn({ heartbeatMs }, 'heartbeats are not acknowledged; the connection is dead');
        this.#closing = { code: CloseCode.Overdue, reason: 'heartbeat.ack overdue' };
        this.#options.transport.terminate();
        return;
      }
      this.#beat();
      this.#beatEvery(heartbeatMs);
    });
  }

  #beat(): void {
    const { workload, clock, load } = this.#options;
    const seq = this.#seq++;
    const refs = workload.running();
    this.#beats.set(seq, { at: clock.monotonic(), refs });
    this.send({ type: 'heartbeat', seq, running: refs, load: load() });
  }

  async #close(code: CloseCode, reason: string): Promise<void> {
    this.#closing ??= { code, reason };
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
    if (!decoded.known) log.debug({ type: decoded.type }, 'frame of an unknown type ignored');
    else if (decoded.message.type === 'welcome') return decoded.message;
    else throw new ProtocolViolation(`${decoded.message.type}: before welcome`);
  }
}
