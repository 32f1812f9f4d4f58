import type { IncomingMessage } from 'node:http';
import { WebSocket, type RawData } from 'ws';
import { systemCode, type DelegateError } from '../../kit/errors.ts';
import { deferred, Mailbox } from '../../kit/flow.ts';
import { retryAfterMs } from '../../kit/http-exchange.ts';
import type { Clock } from '../../kit/time.ts';
import type { CloseCode } from '../../protocol/close-codes.ts';
import type { WireFrame } from '../../protocol/codec.ts';
import { CONNECT_PATH, MAX_CLOSE_REASON_BYTES, MAX_FRAME_BYTES, SUBPROTOCOL } from '../../protocol/limits.ts';
import { delegateError } from '../errors.ts';
import { ManagerRefusal, revoked } from './manager-refusal.ts';

/** An upgrade that is not answered is given up. */
export const UPGRADE_WITHIN_MS = 15_000;
/** A close that the peer does not answer is ended by force. */
const CLOSE_WITHIN_MS = 1_000;
/** Frames read and not yet handled. Reading stops well before; only one read chunk of tiny frames can follow. */
const PAUSE_AT_FRAMES = 256;
const MAX_WAITING_FRAMES = 65_536;
/**
 * Between the manager's clock and ours before a refused token is put down to it. `Date` is in whole seconds and
 * the answer may have been on its way for as long as an upgrade may take.
 */
const TOLERATED_SKEW_MS = 30_000;
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
  /** Says goodbye, and cuts the line if the peer does not answer. Resolves when the socket is gone. */
  close(code: CloseCode, reason: string): Promise<void>;
  /** Cuts the line. */
  terminate(): void;
  /** Resolves when the socket is gone; never rejects. */
  readonly closed: Promise<CloseInfo>;
}

export interface DialOptions {
  managerUrl: string;
  token: string;
  userAgent: string;
  signal: AbortSignal;
  clock: Clock;
  /** By how much the token's time differs from this machine's, milliseconds. */
  tokenAheadMs: number;
}

/** Dials the manager. Rejects with `ManagerRefusal` for an HTTP answer, or `manager-unreachable`. */
export async function dial(options: DialOptions): Promise<Transport> {
  options.signal.throwIfAborted();
  const socket = new WebSocket(connectUrl(options.managerUrl), SUBPROTOCOL, {
    headers: { authorization: `Bearer ${options.token}`, 'user-agent': options.userAgent },
    maxPayload: MAX_FRAME_BYTES,
    // On by default in ws clients; it costs memory for each connection and the protocol forbids it.
    perMessageDeflate: false,
    followRedirects: false,
    // Said outright, so that no variable of Node's (NODE_TLS_REJECT_UNAUTHORIZED) can take it back.
    rejectUnauthorized: true,
    // The codec checks UTF-8, so that bad text ends with the protocol's own code.
    skipUTF8Validation: true,
  });
  const transport = new WebSocketTransport(socket, options.clock);
  const opened = deferred<void>();
  const onAbort = (): void => opened.reject(new Error('aborted', { cause: options.signal.reason }));
  options.signal.addEventListener('abort', onAbort, { once: true });
  const overdue = options.clock.after(UPGRADE_WITHIN_MS, () => {
    opened.reject(new Error(`the upgrade was not answered within ${UPGRADE_WITHIN_MS} ms`));
  });
  socket.once('open', () => opened.resolve());
  socket.once('error', (error) => opened.reject(error));
  socket.once('unexpected-response', (_request, response) => {
    opened.reject(refusalOf(response, options));
  });
  try {
    await opened.promise;
    return transport;
  } catch (thrown) {
    transport.terminate();
    await transport.closed;
    options.signal.throwIfAborted();
    if (thrown instanceof ManagerRefusal) throw thrown;
    throw unreachable(options.managerUrl, thrown);
  } finally {
    overdue.cancel();
    options.signal.removeEventListener('abort', onAbort);
  }
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #inbox = new Mailbox<WireFrame>(MAX_WAITING_FRAMES);
  #waiting = 0;
  readonly closed: Promise<CloseInfo>;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
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
    this.#socket.send(text, (error) => {
      if (error === undefined || error === null) onSent?.();
    });
    return true;
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

function connectUrl(managerUrl: string): string {
  return managerUrl.replace(/^http/, 'ws') + CONNECT_PATH;
}

/** An HTTP answer instead of 101: a refusal with a meaning, or something between that is not the manager. */
function refusalOf(
  response: IncomingMessage,
  { clock, tokenAheadMs }: Pick<DialOptions, 'clock' | 'tokenAheadMs'>,
): ManagerRefusal {
  response.resume();
  const nowMs = clock.now();
  const status = response.statusCode ?? 0;
  switch (status) {
    case 401:
      return tokenRefused(response.headers.date, nowMs, tokenAheadMs);
    case 403:
      return revoked();
    case 426:
      return new ManagerRefusal(
        'unsupported-version',
        "The manager does not support this delegate's protocol.",
        {
          status,
          next: 'slowest-pace',
        },
      );
    default:
      return new ManagerRefusal(
        'upgrade-refused',
        `The manager answered HTTP ${status} instead of a WebSocket.`,
        {
          status,
          next: 'reconnect',
          retryAfterMs: retryAfterMs(
            {
              'retry-after': response.headers['retry-after'] ?? '',
              date: response.headers.date ?? '',
            },
            nowMs,
          ),
        },
      );
  }
}

/**
 * A token is refused for its key or for its time, and the status does not say which. Enrolling again mends the
 * first alone, and would spend an enrolment token on the second.
 */
function tokenRefused(date: string | undefined, nowMs: number, tokenAheadMs: number): ManagerRefusal {
  const status = 401;
  const parsedMs = Date.parse(date ?? '');
  const managerDateMs = Number.isNaN(parsedMs) ? undefined : parsedMs;
  const isOff = (ms: number): boolean =>
    managerDateMs !== undefined && Math.abs(ms - managerDateMs) > TOLERATED_SKEW_MS;
  // The token may have been corrected by what the manager said before, and the clock been set right since.
  if (!isOff(nowMs + tokenAheadMs)) {
    return new ManagerRefusal('not-authenticated', "The manager does not accept this delegate's key.", {
      status,
      next: 'enrol-again',
      managerDateMs,
    });
  }
  return new ManagerRefusal(
    'not-authenticated',
    "The time of this delegate's connect token is not the manager's time.",
    {
      status,
      next: 'reconnect',
      hint: isOff(nowMs)
        ? skewHint(nowMs - (managerDateMs ?? nowMs))
        : 'The next token goes by the clock that was set right.',
      managerDateMs,
    },
  );
}

function skewHint(machineAheadMs: number): string {
  const seconds = Math.round(Math.abs(machineAheadMs) / 1_000);
  const direction = machineAheadMs > 0 ? 'ahead of' : 'behind';
  return `This machine's clock is ${seconds} s ${direction} the manager's; set one of them right (NTP), because tokens expire.`;
}

function unreachable(managerUrl: string, cause: unknown): DelegateError {
  const code = systemCode(cause);
  const because = code === undefined ? '' : ` (${code})`;
  return delegateError('manager-unreachable', `The manager at ${managerUrl} cannot be reached${because}.`, {
    cause,
  });
}

function clipBytes(text: string, maxBytes: number): string {
  let clipped = text;
  while (Buffer.byteLength(clipped) > maxBytes) clipped = clipped.slice(0, -1);
  return clipped;
}
