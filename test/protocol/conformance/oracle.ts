import {
  decodeToDelegate,
  decodeToManager,
  ProtocolViolation,
  type WireFrame,
} from '../../../src/protocol/codec.ts';
import { CloseCode } from '../../../src/protocol/close-codes.ts';
import type { ToDelegate, ToManager } from '../../../src/protocol/messages.ts';
import type { Direction } from '../vectors.ts';
import type { Fate } from './line.ts';

/** Below this a busy machine may miss two acks in a row, and the delegate is right to find the line dead. */
const UNHURRIED_HEARTBEAT_MS = 5_000;

/** Whether a frame is a welcome whose heartbeats leave no time to predict what becomes of the line. */
export function isHurriedWelcome(frame: WireFrame): boolean {
  try {
    const decoded = decodeToDelegate(frame);
    if (!decoded.known || decoded.message.type !== 'welcome') return false;
    return decoded.message.heartbeatMs < UNHURRIED_HEARTBEAT_MS;
  } catch (thrown) {
    if (thrown instanceof ProtocolViolation) return false;
    throw thrown;
  }
}

/**
 * What a frame must do to a connection, by the document alone: the codec's verdict on the frame, and the few
 * rules of PROTOCOL.md about which frame may come when. One oracle follows one connection.
 */
export class Oracle {
  readonly #direction: Direction;
  readonly #delegateId: string;
  #opened = false;
  #granted = 0;

  constructor(direction: Direction, delegateId: string) {
    this.#direction = direction;
    this.#delegateId = delegateId;
  }

  /** Whether the opening is done. */
  get opened(): boolean {
    return this.#opened;
  }

  /** The test's end has made the opening by itself. */
  open(): void {
    this.#opened = true;
  }

  judge(frame: WireFrame): Fate {
    try {
      const decoded = this.#direction === 'to-delegate' ? decodeToDelegate(frame) : decodeToManager(frame);
      return decoded.known ? this.#judgeMessage(decoded.message) : 'open';
    } catch (thrown) {
      if (thrown instanceof ProtocolViolation) return thrown.closeCode;
      throw thrown;
    }
  }

  #judgeMessage(message: ToDelegate | ToManager): Fate {
    const opens = message.type === 'welcome' || message.type === 'hello';
    if (opens === this.#opened) return CloseCode.MalformedFrame;
    switch (message.type) {
      case 'hello':
        if (message.delegate.id !== this.#delegateId) return CloseCode.NotAuthenticated;
        break;
      case 'credit':
        if (message.granted < this.#granted) return CloseCode.MalformedFrame;
        this.#granted = message.granted;
        break;
      case 'drain':
        // The delegate moves to another connection and closes this one.
        return CloseCode.Goodbye;
      default:
    }
    this.#opened = true;
    return 'open';
  }
}
