import { statfs } from 'node:fs/promises';

/** As often as it is worth knowing. */
const FRESH_MS = 10_000;

/**
 * Free bytes of the file system that a folder is on. Whoever asks gets the last number and never waits: a network disk
 * that does not answer must not hold up those who look why.
 */
export class DiskSpace {
  readonly #folder: string;
  #freeBytes: number | undefined;
  #answeredAt = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined before the first answer, and where the system does not say. */
  get freeBytes(): number | undefined {
    void this.refresh();
    return this.#freeBytes;
  }

  /** Resolves when the system has answered; at once if it did a moment ago. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#asking === undefined && performance.now() - this.#answeredAt < FRESH_MS) return;
    this.#asking ??= this.#ask();
    await this.#asking;
  }

  async #ask(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.#folder);
      this.#freeBytes = bavail * bsize;
      this.#answeredAt = performance.now();
    } catch {
      // The folder is not made yet, or its disk is gone: nobody knows, which is what is then said.
      this.#freeBytes = undefined;
    } finally {
      this.#asking = undefined;
    }
  }
}
