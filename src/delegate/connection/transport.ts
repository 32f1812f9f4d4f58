import type { Socket } from 'node:net';
import { WebSocket, type RawData } from 'ws';
import type { Dialer } from '../../http/dialer.ts';
import { httpError } from '../../http/errors.ts';
import { transportError } from '../../http/transport-error.ts';
import type { DelegateError } from '../../kit/errors.ts';
import { deferred, Mailbox, untilAborted } from '../../kit/flow.ts';
import type { Clock } from '../../kit/time.ts';
import type { CloseCode } from '../../protocol/close-codes.ts';
import type { WireFrame } from '../../protocol/codec.ts';
import { CONNECT_PATH, MAX_CLOSE_REASON_BYTES, MAX_FRAME_BYTES, SUBPROTOCOL } from '../../protocol/limits.ts';
import { delegateError } from '../errors.ts';
import { ManagerRefusal } from './manager-refusal.ts';
import { refusalOf } from './upgrade-refusal.ts';

/** An upgrade that is not answered is given up. */
export const UPGRADE_WITHIN_MS = 15_000;
/** A close that the peer does not answer is ended by force. */
const CLOSE_WITHIN_MS = 1_000;
/** Frames read and not yet handled. Reading stops well before; only one read chunk of tiny frames can follow. */
const PAUSE_AT_FRAMES = 256;
const MAX_WAITING_FRAMES = 65_536;
/** Bytes accepted for sending and not yet on the wire. A peer that reads nothing is dead, and memory is finite. */
const MAX_UNSENT_BYTES = 32 * 1_048_576;

/** 1005 and 1006 are ws's words for "no code" and "no close frame" (RFC 6455, section 7.4.1). */
export interface CloseInfo {
  code: number;
  reason: string;
}

/** One connection. Its handlers belong to it alone: an old one's close can't touch a newer session. */
export interface Transport {
  /** In order of arrival; ends when the connection does. */
  readonly frames: AsyncIterable<WireFrame>;
  /**
   * False if the connection is closing or closed: nothing was sent.
   *
   * @param onSent called once when the text is on the wire; not at all if the connection ends before
   */
  send(text: string, onSent?: () => void): boolean;
  /** Writes now what was sent in this turn of the event loop, instead of at its end. */
  flush(): void;
  /** Says goodbye, and cuts the line if the peer does not answer. Resolves when the socket is gone. */
  close(code: CloseCode, reason: string): Promise<void>;
  /** Cuts the line. */
  terminate(): void;
  /** Resolves when the socket is gone; never rejects. */
  readonly closed: Promise<CloseInfo>;
}

export interface DialOptions {
  managerUrl: string;
  dialer: Pick<Dialer, 'open'>;
  token: string;
  userAgent: string;
  signal: AbortSignal;
  clock: Clock;
  /** By how much the token's time differs from this machine's, milliseconds. */
  tokenAheadMs: number;
}

/** Dials the manager. Rejects with `ManagerRefusal` for an HTTP answer, or `manager-unreachable`, which says why. */
export async function dial(options: DialOptions): Promise<Transport> {
  const { managerUrl, dialer, signal, clock } = options;
  signal.throwIfAborted();
  const url = new URL(managerUrl + CONNECT_PATH);
  const attempt = new AbortController();
  const onAbort = (): void => attempt.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const overdue = clock.after(UPGRADE_WITHIN_MS, () => attempt.abort(upgradeOverdue(url)));
  try {
    // The manager's address is the operator's own word, so that no address is refused.
    const { socket } = await dialer.open({ url, guardAddress: () => {}, signal: attempt.signal });
    return await upgrade(url, socket, options, attempt.signal);
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof ManagerRefusal) throw thrown;
    throw unreachable(managerUrl, transportError(thrown, url));
  } finally {
    overdue.cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Makes a WebSocket of a connection. If it becomes none, the connection is gone when this rejects. */
async function upgrade(
  url: URL,
  connection: Socket,
  options: DialOptions,
  signal: AbortSignal,
): Promise<Transport> {
  const socket = new WebSocket(url, SUBPROTOCOL, {
    createConnection: () => connection,
    headers: { authorization: `Bearer ${options.token}`, 'user-agent': options.userAgent },
    maxPayload: MAX_FRAME_BYTES,
    // On by default in ws clients; it costs memory for each connection and the protocol forbids it.
    perMessageDeflate: false,
    followRedirects: false,
    // The codec checks UTF-8, so that bad text ends with the protocol's own code.
    skipUTF8Validation: true,
  });
  const transport = new WebSocketTransport(socket, connection, options.clock);
  const opened = deferred<void>();
  socket.once('open', () => opened.resolve());
  socket.once('error', (error) => opened.reject(error));
  socket.once('unexpected-response', (_request, response) => {
    void refusalOf(response, options).then((refusal) => opened.reject(refusal));
  });
  try {
    await untilAborted(opened.promise, signal);
    return transport;
  } catch (thrown) {
    transport.terminate();
    await transport.closed;
    throw thrown;
  }
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #connection: Socket;
  readonly #clock: Clock;
  #isGathering = false;
  readonly #inbox = new Mailbox<WireFrame>(MAX_WAITING_FRAMES);
  #waiting = 0;
  readonly closed: Promise<CloseInfo>;

  constructor(socket: WebSocket, connection: Socket, clock: Clock) {
    this.#socket = socket;
    this.#connection = connection;
    this.#clock = clock;
    const closed = deferred<CloseInfo>();
    this.closed = closed.promise;
    socket.on('message', (data, binary) => this.#receive(data, binary));
    socket.on('close', (code, reason) => {
      this.#inbox.end();
      closed.resolve({ code, reason: reason.toString('utf8') });
    });
    // ws closes by itself after an error (with 1009 for an oversized frame); 'close' tells the rest.
    socket.on('error', () => {});
  }

  get frames(): AsyncIterable<WireFrame> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<WireFrame> {
    for await (const frame of this.#inbox) {
      this.#waiting -= 1;
      if (this.#waiting < PAUSE_AT_FRAMES / 2 && this.#socket.isPaused) this.#socket.resume();
      yield frame;
    }
  }

  #receive(data: RawData, binary: boolean): void {
    const bytes = bytesOf(data);
    if (!this.#inbox.put({ bytes, binary })) {
      this.#socket.terminate();
      return;
    }
    this.#waiting += 1;
    if (this.#waiting >= PAUSE_AT_FRAMES) this.#socket.pause();
  }

  send(text: string, onSent?: () => void): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
      this.#socket.terminate();
      return false;
    }
    this.#gather();
    this.#socket.send(text, (error) => {
      if (error === undefined || error === null) onSent?.();
    });
    return true;
  }

  /** What is sent before this turn of the event loop ends is one write: a system call costs more than most frames. */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#connection.cork();
    process.nextTick(() => this.flush());
  }

  flush(): void {
    if (!this.#isGathering) return;
    this.#isGathering = false;
    this.#connection.uncork();
  }

  async close(code: CloseCode, reason: string): Promise<void> {
    this.#socket.close(code, clipBytes(reason, MAX_CLOSE_REASON_BYTES));
    // A paused socket would never see the peer's answer.
    if (this.#socket.isPaused) this.#socket.resume();
    const force = this.#clock.after(CLOSE_WITHIN_MS, () => this.#socket.terminate());
    await this.closed;
    force.cancel();
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}

function upgradeOverdue({ host }: URL): DelegateError {
  const seconds = UPGRADE_WITHIN_MS / 1_000;
  return httpError('network.answer-timeout', `${host} did not answer the upgrade within ${seconds} s.`, {
    hint: 'The manager is overloaded, or something between holds the connection: look at proxies and load balancers.',
  });
}

/** One code for whoever watches for it; the reason has its own, the same as for every other connection. */
function unreachable(managerUrl: string, failure: DelegateError): DelegateError {
  const { message, hint, details, code, cause } = failure;
  return delegateError('manager-unreachable', `The manager at ${managerUrl} cannot be reached: ${message}`, {
    hint,
    details: { ...details, reason: code },
    cause,
  });
}

function clipBytes(text: string, maxBytes: number): string {
  let clipped = text;
  while (Buffer.byteLength(clipped) > maxBytes) clipped = clipped.slice(0, -1);
  return clipped;
}
