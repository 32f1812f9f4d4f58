import { systemCode } from '../kit/errors.ts';

/** Of lines that wait for an output which takes none; what comes beyond is counted. */
const MAX_WAITING_BYTES = 1_048_576;
/** An output that took nothing is tried again with the next line, and after this. */
const TRY_AGAIN_MS = 250;
/** How long an end waits for a reader that is behind. */
const LAST_WORDS_WITHIN_MS = 250;
const LAST_WORDS_PAUSE_MS = 5;

/** What a non-blocking output answers when it has no room at the moment. */
const NO_ROOM: ReadonlySet<string | undefined> = new Set(['EAGAIN', 'EBUSY']);

export interface LogOutputOptions {
  /** Writes what it can at once, and returns how many bytes that were. Throws a system error when it can write none. */
  readonly write: (bytes: Uint8Array) => number;
  /** Called when all that waited is out, and before any other line is taken. It may write. */
  readonly onLost: (lines: number) => void;
  /** Called for each line at the moment that it is lost. It must not write. */
  readonly onLostLine?: () => void;
}

/**
 * Whole lines, in order, to an output that may refuse them: a full disk, or a reader that stopped reading. Neither may
 * end or hold up a process whose work is not its log. pino's own destination, as long as it writes at once, throws at
 * the one and blocks the event loop at the other; and one that writes later loses the last words of a process that
 * dies.
 *
 * The lines that wait are the oldest, for they tell how it began. From the first that has no room on, new ones are let
 * go until all of those are out, so what is lost is one gap, and told of where it is.
 */
export class LogOutput {
  readonly #write: LogOutputOptions['write'];
  readonly #onLost: LogOutputOptions['onLost'];
  readonly #onLostLine: LogOutputOptions['onLostLine'];
  /** The first may be the rest of a line. */
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #lostLines = 0;
  #state: 'open' | 'no-room' | 'failing' | 'gone' = 'open';
  #again: NodeJS.Timeout | undefined;

  constructor({ write, onLost, onLostLine }: LogOutputOptions) {
    this.#write = write;
    this.#onLost = onLost;
    this.#onLostLine = onLostLine;
  }

  /** Never throws. */
  write(line: string): void {
    this.#writeWaiting();
    if (this.#state === 'gone') {
      this.#onLostLine?.();
      return;
    }
    const bytes = Buffer.from(line);
    const isStuck = this.#waiting.length > 0;
    if (isStuck && (this.#lostLines > 0 || this.#waitingBytes + bytes.length > MAX_WAITING_BYTES)) {
      this.#lostLines += 1;
      this.#onLostLine?.();
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!isStuck) this.#writeWaiting();
  }

  /** Before an end that no timer outlives. A reader is waited for, shortly; a full disk is not. Never throws. */
  flushSync(): void {
    const giveUpAt = performance.now() + LAST_WORDS_WITHIN_MS;
    const neverChanged = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    this.#writeWaiting();
    while (this.#state === 'no-room' && performance.now() < giveUpAt) {
      Atomics.wait(neverChanged, 0, 0, LAST_WORDS_PAUSE_MS);
      this.#writeWaiting();
    }
  }

  #writeWaiting(): void {
    if (this.#waiting.length === 0) return;
    try {
      for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
        const written = this.#write(first);
        this.#waitingBytes -= written;
        if (written < first.length) this.#waiting[0] = first.subarray(written);
        else this.#waiting.shift();
      }
    } catch (error) {
      this.#refused(systemCode(error));
      return;
    }
    this.#state = 'open';
    clearTimeout(this.#again);
    this.#again = undefined;
    if (this.#lostLines === 0) return;
    const lines = this.#lostLines;
    this.#lostLines = 0;
    this.#onLost(lines);
  }

  #refused(code: string | undefined): void {
    if (code === 'EPIPE') {
      // No reader can come back to a broken pipe; what runs goes on without its log.
      this.#state = 'gone';
      for (const _line of this.#waiting.splice(0)) this.#onLostLine?.();
      return;
    }
    this.#state = NO_ROOM.has(code) ? 'no-room' : 'failing';
    // What waits keeps no process alive: at its end `flushSync` is the last try.
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#writeWaiting();
    }, TRY_AGAIN_MS).unref();
  }
}
