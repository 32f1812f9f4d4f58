import { deferred, type Deferred } from '../../kit/flow.ts';
import { keyOf, type TaskRef, type TaskResult, type ToManager } from '../../protocol/messages.ts';
import { fitResult } from './task-result.ts';

/** How much may wait for acknowledgement. At a bound the delegate takes no more work; it drops nothing. */
export interface OutboxLimits {
  /** Results, those still to come from running tasks included: never exceeded but by a limit that was lowered. */
  readonly maxResults: number;
  /** When this is reached, what runs may still come on top, one frame for each task. */
  readonly maxBytes: number;
}

/**
 * No further result is handed to a channel while this much of them is not on the wire. On a slow line heartbeats
 * queue behind what was handed over: all of it at once would outlast the lease, on every connection again.
 */
export const SEND_WINDOW_BYTES = 1_048_576;

/** The way to the manager that the current session offers. */
export interface Channel {
  readonly maxFrameBytes: number;
  /**
   * False if the connection is gone; what was not sent is sent again on the next one.
   *
   * @param onSent called once when the message is on the wire; not at all if the connection ends before
   */
  send(message: ToManager, onSent?: () => void): boolean;
}

interface Kept {
  readonly result: TaskResult;
  readonly bytes: number;
}

/**
 * Finished results, oldest first, until the manager acknowledges them. It belongs to the delegate, not to a
 * connection: a session that opens is handed everything, as fast as its line takes it; one that closes takes
 * nothing with it.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #results = new Map<string, Kept>();
  #bytes = 0;
  #channel: Channel | undefined;
  /** Keys of results that the channel has yet to be given, in order. */
  readonly #toSend = new Set<string>();
  /** Bytes that the channel was given and that are not on the wire. */
  #unsentBytes = 0;
  #emptied: Deferred<void> | undefined;
  /** Called with what has taken the place of a result that was too large for its session. */
  onReplaced: (result: TaskResult) => void = () => {};

  constructor(limits: OutboxLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#results.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get limits(): OutboxLimits {
    return this.#limits;
  }

  /** How many more results may come, those of running tasks among them. */
  get room(): number {
    return this.#bytes >= this.#limits.maxBytes ? 0 : Math.max(0, this.#limits.maxResults - this.size);
  }

  /** RFC 3339, of the result that has waited longest. */
  get oldestFinishedAt(): string | undefined {
    const [oldest] = this.#results.values();
    return oldest?.result.timing.finishedAt;
  }

  /** Oldest first. */
  refs(): TaskRef[] {
    return [...this.#results.values()].map(({ result: { taskId, attempt } }) => ({ taskId, attempt }));
  }

  put(result: TaskResult): void {
    this.#keep(result);
    this.#enqueue(keyOf(result));
  }

  /** Sends a result that is still here again, to a manager that assigned its task once more. */
  sendAgain(ref: TaskRef): void {
    if (this.#results.has(keyOf(ref))) this.#enqueue(keyOf(ref));
  }

  /** True if the result was here. */
  acknowledge(ref: TaskRef): boolean {
    const kept = this.#results.get(keyOf(ref));
    this.#results.delete(keyOf(ref));
    this.#toSend.delete(keyOf(ref));
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
    this.#unsentBytes = 0;
    this.#toSend.clear();
    for (const key of this.#results.keys()) this.#toSend.add(key);
    this.#sendOn(channel);
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

  #enqueue(key: string): void {
    if (this.#channel === undefined) return;
    this.#toSend.add(key);
    this.#sendOn(this.#channel);
  }

  /** Goes on where the window stopped it, each time something is on the wire. */
  #sendOn(channel: Channel): void {
    for (const key of this.#toSend) {
      if (this.#channel !== channel || this.#unsentBytes >= SEND_WINDOW_BYTES) return;
      this.#toSend.delete(key);
      const kept = this.#fitted(key, channel.maxFrameBytes);
      if (kept === undefined) continue;
      const { result, bytes } = kept;
      this.#unsentBytes += bytes;
      const onSent = (): void => {
        // What an earlier channel still had to send was forgotten when this one was attached.
        if (this.#channel !== channel) return;
        this.#unsentBytes -= bytes;
        this.#sendOn(channel);
      };
      if (channel.send(result, onSent)) continue;
      this.#unsentBytes -= bytes;
      return;
    }
  }

  #fitted(key: string, maxFrameBytes: number): Kept | undefined {
    const kept = this.#results.get(key);
    // What was put here makes a frame of those bytes; only a session with less room is a question.
    if (kept === undefined || kept.bytes <= maxFrameBytes) return kept;
    const fitting = fitResult(kept.result, maxFrameBytes);
    // A replacement is the result from then on: a later session with more room must not tell another story.
    if (fitting === kept.result) return kept;
    this.onReplaced(fitting);
    return this.#keep(fitting);
  }

  /** In the place of an earlier form of it, if there is one. */
  #keep(result: TaskResult): Kept {
    const key = keyOf(result);
    const bytes = Buffer.byteLength(JSON.stringify(result));
    this.#bytes += bytes - (this.#results.get(key)?.bytes ?? 0);
    const kept = { result, bytes };
    this.#results.set(key, kept);
    return kept;
  }
}
