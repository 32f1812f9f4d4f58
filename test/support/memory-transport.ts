import { deferred, Mailbox } from '../../src/kit/flow.ts';
import { decodeToManager, encodeToDelegate, type WireFrame } from '../../src/protocol/codec.ts';
import type { ToDelegate, ToManager } from '../../src/protocol/messages.ts';
import type { CloseInfo, Transport } from '../../src/delegate/connection/transport.ts';

const NO_CLOSE_FRAME = 1006;

/** A connection without a network: the test is the manager at its other end. */
export class MemoryTransport implements Transport {
  readonly #inbox = new Mailbox<WireFrame>(10_000);
  readonly #closed = deferred<CloseInfo>();
  /** What the delegate sent, oldest first. */
  readonly sent: ToManager[] = [];
  /** How the delegate closed it; undefined if it has not. */
  closedWith: CloseInfo | undefined;
  #open = true;

  get frames(): AsyncIterable<WireFrame> {
    return this.#inbox;
  }

  get closed(): Promise<CloseInfo> {
    return this.#closed.promise;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  flush(): void {}

  send(text: string): boolean {
    if (!this.#open) return false;
    const decoded = decodeToManager({ bytes: Buffer.from(text), binary: false });
    if (!decoded.known) throw new TypeError(`the delegate sent ${decoded.type}`);
    this.sent.push(decoded.message);
    return true;
  }

  async close(code: number, reason: string): Promise<void> {
    if (this.#open) this.closedWith = { code, reason };
    this.#end({ code, reason });
    await this.closed;
  }

  terminate(): void {
    this.#end({ code: NO_CLOSE_FRAME, reason: '' });
  }

  // --- the manager's end ------------------------------------------------------------------------------------

  arrive(message: ToDelegate): void {
    this.arriveRaw(encodeToDelegate(message));
  }

  arriveRaw(text: string): void {
    this.#inbox.put({ bytes: Buffer.from(text), binary: false });
  }

  /** The manager closes, or the line is cut. */
  cut(code: number = NO_CLOSE_FRAME, reason = ''): void {
    this.#end({ code, reason });
  }

  /** Everything of one type that the delegate sent. */
  sentOf<T extends ToManager['type']>(type: T): Extract<ToManager, { type: T }>[] {
    return this.sent.filter((frame): frame is Extract<ToManager, { type: T }> => frame.type === type);
  }

  #end(info: CloseInfo): void {
    this.#open = false;
    this.#inbox.end();
    this.#closed.resolve(info);
  }
}
