import { DelegateError } from '../kit/errors.ts';
import { deferred, type Deferred } from '../kit/flow.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { encodeToManager, ProtocolViolation } from '../protocol/codec.ts';
import { MAX_FRAME_BYTES } from '../protocol/limits.ts';
import { keyOf, type TaskRef, type TaskResult, type ToManager } from '../protocol/messages.ts';

/** Results that may wait for acknowledgement. At the bound the delegate takes no more work; it drops nothing. */
export const MAX_UNACKNOWLEDGED = 1_000;
/**
 * Their bytes, too: a new session is handed all of them at once, and a transport holds 32 MiB unsent. What runs
 * when this is reached may still come on top, one frame for each task.
 */
export const MAX_UNACKNOWLEDGED_BYTES = 16 * 1_048_576;

/** The way to the manager that the current session offers. */
export interface Channel {
  readonly maxFrameBytes: number;
  /** False if the connection is gone; what was not sent is sent again on the next one. */
  send(message: ToManager): boolean;
}

/**
 * Finished results, oldest first, until the manager acknowledges them. It belongs to the delegate, not to a
 * connection: a session that opens is handed everything, one that closes takes nothing with it.
 */
export class Outbox {
  readonly #results = new Map<string, { result: TaskResult; bytes: number }>();
  #bytes = 0;
  #channel: Channel | undefined;
  #emptied: Deferred<void> | undefined;

  get size(): number {
    return this.#results.size;
  }

  get full(): boolean {
    return this.#results.size >= MAX_UNACKNOWLEDGED || this.#bytes >= MAX_UNACKNOWLEDGED_BYTES;
  }

  /** Oldest first. */
  refs(): TaskRef[] {
    return [...this.#results.values()].map(({ result: { taskId, attempt } }) => ({ taskId, attempt }));
  }

  put(result: TaskResult): void {
    this.#keep(result);
    this.#send(result);
  }

  /** Sends a result that is still here again, to a manager that assigned its task once more. */
  sendAgain(ref: TaskRef): void {
    const kept = this.#results.get(keyOf(ref));
    if (kept !== undefined) this.#send(kept.result);
  }

  /** True if the result was here. */
  acknowledge(ref: TaskRef): boolean {
    const kept = this.#results.get(keyOf(ref));
    this.#results.delete(keyOf(ref));
    this.#bytes -= kept?.bytes ?? 0;
    if (this.#results.size === 0) {
      this.#emptied?.resolve();
      this.#emptied = undefined;
    }
    return kept !== undefined;
  }

  /** A session is ready: it gets everything that waits, in order. */
  attach(channel: Channel): void {
    this.#channel = channel;
    for (const { result } of this.#results.values()) this.#send(result);
  }

  /** Only the attached channel can be detached: an old session's end must not silence the new one. */
  detach(channel: Channel): void {
    if (this.#channel === channel) this.#channel = undefined;
  }

  /** Resolves when nothing waits any more. */
  async emptied(): Promise<void> {
    if (this.#results.size === 0) return;
    this.#emptied ??= deferred();
    await this.#emptied.promise;
  }

  #send(result: TaskResult): void {
    if (this.#channel === undefined) return;
    const fitting = fitResult(result, this.#channel.maxFrameBytes);
    // A replacement is the result from then on: a later session with more room must not tell another story.
    if (fitting !== result) this.#keep(fitting);
    this.#channel.send(fitting);
  }

  /** In the place of an earlier form of it, if there is one. */
  #keep(result: TaskResult): void {
    const key = keyOf(result);
    const bytes = Buffer.byteLength(JSON.stringify(result));
    this.#bytes += bytes - (this.#results.get(key)?.bytes ?? 0);
    this.#results.set(key, { result, bytes });
  }
}

/**
 * The result as it is if it makes a frame, else a `failed` in its place that says why. A result that can't be
 * sent would otherwise be tried for ever.
 */
export function fitResult(result: TaskResult, maxFrameBytes: number = MAX_FRAME_BYTES): TaskResult {
  try {
    encodeToManager(result, maxFrameBytes);
    return result;
  } catch (thrown) {
    if (!(thrown instanceof ProtocolViolation)) throw thrown;
    const error =
      thrown.closeCode === CloseCode.FrameTooLarge
        ? new DelegateError(
            'result-too-large',
            `The result does not fit into a frame of ${maxFrameBytes} bytes.`,
            {
              category: 'bad-response',
              hint: 'Ask for less: fewer fields, or shorter ones.',
              details: { maxFrameBytes },
            },
          )
        : new DelegateError('internal', 'The result could not be put into a frame.', {
            category: 'internal',
            hint: 'This is a defect of the delegate; its log has the task.',
          });
    const { type, taskId, attempt, delegate, timing } = result;
    return { type, taskId, attempt, delegate, timing, outcome: 'failed', error: error.toWire() };
  }
}
