import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';
import type { CloseInfo, Transport } from '../../src/delegate/connection/transport.ts';
import { deferred, Mailbox } from '../../src/kit/flow.ts';
import type { Timer } from '../../src/kit/time.ts';
import type { WireFrame } from '../../src/protocol/codec.ts';
import type { Mischief } from './mischief.ts';
import { Pipe, type Line, type Parcel } from './pipe.ts';
import type { SimulatedProcess } from './process.ts';

/** What WebSocket libraries report of a connection that ended without a close frame (RFC 6455, section 7.1.5). */
const NO_CLOSE_FRAME = 1006;
/** A close that the peer does not answer is ended by force, on both sides. */
const CLOSE_WITHIN_MS = 1_000;
const MAX_WAITING_FRAMES = 65_536;

/** Sees what each side sends and what reaches it, in whole texts. */
export interface Tap {
  readonly delegateSends: (text: string) => void;
  readonly delegateReceives: (text: string) => void;
  readonly managerSends: (text: string) => void;
  readonly managerReceives: (text: string) => void;
}

/** The delegate's end. */
export class DelegateEnd implements Transport {
  readonly #process: SimulatedProcess;
  readonly #toManager: Pipe;
  readonly #mischief: Mischief;
  readonly #tap: Tap;
  readonly #inbox = new Mailbox<WireFrame>(MAX_WAITING_FRAMES);
  readonly #upgraded = deferred<boolean>();
  readonly #closed = deferred<CloseInfo>();
  #phase: 'dialling' | 'open' | 'closing' | 'closed' = 'dialling';

  constructor({ process, mischief, tap }: ConnectionOptions, toManager: Pipe) {
    this.#process = process;
    this.#toManager = toManager;
    this.#mischief = mischief;
    this.#tap = tap;
    toManager.send({ is: 'upgrade' });
  }

  /** Whether the manager took the connection. */
  get upgraded(): Promise<boolean> {
    return this.#upgraded.promise;
  }

  get frames(): AsyncIterable<WireFrame> {
    return this.#inbox;
  }

  get closed(): Promise<CloseInfo> {
    return this.#closed.promise;
  }

  flush(): void {}

  send(text: string, onSent?: () => void): boolean {
    if (this.#phase !== 'open' || !this.#process.alive) return false;
    this.#tap.delegateSends(text);
    this.#mischief.send(this.#toManager, text, onSent);
    return true;
  }

  async close(code: number, reason: string): Promise<void> {
    if (this.#phase === 'open') {
      this.#phase = 'closing';
      this.#toManager.send({ is: 'close', code, reason });
    }
    const force = this.#process.clock.after(CLOSE_WITHIN_MS, () => this.terminate());
    await this.closed;
    force.cancel();
  }

  terminate(): void {
    this.#toManager.finish();
    this.#process.clock.after(0, () => this.#end({ code: NO_CLOSE_FRAME, reason: '' }));
  }

  // --- what the network does ----------------------------------------------------------------------------------

  arrive(parcel: Parcel): void {
    this.#process.enter(() => this.#receive(parcel));
  }

  /** The kernel learns that the connection is broken. */
  breaks(): void {
    this.#process.enter(() => this.#end({ code: NO_CLOSE_FRAME, reason: '' }));
  }

  /** The process was killed. */
  abandon(): void {
    this.#phase = 'closed';
    this.#toManager.finish();
  }

  #receive(parcel: Parcel): void {
    if (this.#phase === 'closed') return;
    switch (parcel.is) {
      case 'upgraded':
        if (this.#phase === 'dialling') this.#phase = 'open';
        this.#upgraded.resolve(true);
        return;
      case 'frame':
        this.#tap.delegateReceives(parcel.text);
        this.#mischief.delegateReceives(parcel.text);
        this.#inbox.put({ bytes: Buffer.from(parcel.text), binary: false });
        return;
      case 'close':
        this.#toManager.send({ is: 'close', code: parcel.code, reason: '' });
        this.#end({ code: parcel.code, reason: parcel.reason });
        return;
      case 'gone':
        this.#end({ code: NO_CLOSE_FRAME, reason: '' });
        return;
      case 'upgrade':
        throw new TypeError('only the manager is asked to upgrade');
      default:
        parcel satisfies never;
    }
  }

  #end(info: CloseInfo): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#toManager.finish();
    this.#inbox.end();
    this.#upgraded.resolve(false);
    this.#closed.resolve(info);
  }
}

/**
 * The manager's end: what `Session` of the manager uses of a `ws` socket, and its events. A real one without a
 * network is no help: it can be given no bytes.
 */
export class ManagerEnd extends EventEmitter {
  readonly #process: SimulatedProcess;
  readonly #toDelegate: Pipe;
  readonly #mischief: Mischief;
  readonly #tap: Tap;
  #phase: 'open' | 'closing' | 'closed' = 'open';
  #force: Timer | undefined;

  constructor(process: SimulatedProcess, { mischief, tap }: ConnectionOptions, toDelegate: Pipe) {
    super();
    this.#process = process;
    this.#toDelegate = toDelegate;
    this.#mischief = mischief;
    this.#tap = tap;
    toDelegate.send({ is: 'upgraded' });
  }

  get bufferedAmount(): number {
    return this.#toDelegate.unsentBytes;
  }

  send(text: string): void {
    if (this.#phase !== 'open' || !this.#process.alive) return;
    this.#tap.managerSends(text);
    this.#mischief.send(this.#toDelegate, text);
  }

  close(code: number, reason: Buffer): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#toDelegate.send({ is: 'close', code, reason: reason.toString('utf8') });
    this.#force = this.#process.clock.after(CLOSE_WITHIN_MS, () => this.#end(NO_CLOSE_FRAME));
  }

  /** After a close it is the simulated second that ends the connection; the session's own second is a real one. */
  terminate(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#process.clock.after(0, () => this.#end(NO_CLOSE_FRAME));
  }

  // --- what the network does ----------------------------------------------------------------------------------

  receive(parcel: Parcel): void {
    if (this.#phase === 'closed') return;
    switch (parcel.is) {
      case 'frame':
        // Once it is closing, its session reads no more; what comes is sent again in the next one.
        if (this.#phase === 'open') this.#tap.managerReceives(parcel.text);
        this.emit('message', Buffer.from(parcel.text), false);
        return;
      case 'close':
        if (this.#phase === 'open') this.#toDelegate.send({ is: 'close', code: parcel.code, reason: '' });
        this.#end(parcel.code);
        return;
      case 'gone':
        this.breaks();
        return;
      case 'upgrade':
      case 'upgraded':
        throw new TypeError('a connection is upgraded once');
      default:
        parcel satisfies never;
    }
  }

  /** The kernel learns that the connection is broken. */
  breaks(): void {
    this.#end(NO_CLOSE_FRAME);
  }

  /** The process was killed. A session that was closing holds a real timer, which must not outlive the world. */
  abandon(): void {
    if (this.#phase === 'closing') this.#end(NO_CLOSE_FRAME);
    this.#phase = 'closed';
    this.#toDelegate.finish();
  }

  #end(code: number): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#force?.cancel();
    this.#toDelegate.finish();
    this.emit('close', code, Buffer.alloc(0));
  }
}

interface ConnectionOptions {
  readonly line: Line;
  /** The delegate's. */
  readonly process: SimulatedProcess;
  readonly mischief: Mischief;
  readonly tap: Tap;
  /** Who listens when the upgrade arrives; undefined if nobody does. */
  readonly manager: () => SimulatedProcess | undefined;
  readonly accept: (end: ManagerEnd) => void;
}

/** For the one parameter of that type; what its reader uses of it is all here. */
export function asWebSocket(end: ManagerEnd): WebSocket {
  const socket: unknown = end;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the manager asks for the whole class
  return socket as WebSocket;
}

/** After how long each end hears that the connection is broken; undefined: never. */
export interface Hearing {
  readonly delegateAfterMs: number | undefined;
  readonly managerAfterMs: number | undefined;
}

/** One TCP connection, from the dial to the end of both ends. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #toManager: Pipe;
  #toDelegate: Pipe | undefined;
  #managerProcess: SimulatedProcess | undefined;
  #managerEnd: ManagerEnd | undefined;
  readonly delegateEnd: DelegateEnd;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { line, process } = options;
    this.#toManager = new Pipe(line, 'toManager', process, (parcel) => this.#arriveAtManager(parcel));
    this.delegateEnd = new DelegateEnd(options, this.#toManager);
  }

  /** The connection breaks on its way. */
  cut({ delegateAfterMs, managerAfterMs }: Hearing): void {
    this.#toManager.sever();
    this.#toDelegate?.sever();
    const { time } = this.#options.line;
    if (delegateAfterMs !== undefined) time.after(delegateAfterMs, () => this.delegateEnd.breaks());
    if (managerAfterMs !== undefined) {
      time.after(managerAfterMs, () => this.#managerProcess?.enter(() => this.#managerEnd?.breaks()));
    }
  }

  delegateKilled(): void {
    this.delegateEnd.abandon();
  }

  managerKilled(): void {
    this.#managerEnd?.abandon();
  }

  #arriveAtManager(parcel: Parcel): void {
    if (parcel.is !== 'upgrade') {
      this.#managerProcess?.enter(() => this.#managerEnd?.receive(parcel));
      return;
    }
    const { line, manager } = this.#options;
    const process = manager();
    this.#managerProcess = process;
    if (process !== undefined) process.enter(() => this.#upgrade(process));
    else line.time.after(line.drawLatencyMs(), () => this.delegateEnd.breaks());
  }

  #upgrade(process: SimulatedProcess): void {
    const { line, accept } = this.#options;
    const toDelegate = new Pipe(line, 'toDelegate', process, (parcel) => this.delegateEnd.arrive(parcel));
    this.#toDelegate = toDelegate;
    this.#managerEnd = new ManagerEnd(process, this.#options, toDelegate);
    accept(this.#managerEnd);
  }
}
