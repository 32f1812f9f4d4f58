import type { Redactor } from './redactor.ts';

/** Held back of a text without line breaks, in characters. */
const MAX_HELD_CHARS = 65_536;
/** Of those, what is still held back when there are too many: a value that has begun is hardly longer. */
const KEPT_CHARS = 32_768;

/** A text that comes in chunks, without secrets: a value that two of them share is found as if they were one. */
export class ScrubbedLines {
  readonly #redactor: Redactor;
  #held = '';

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  add(chunk: string): void {
    this.#held += chunk;
  }

  /** What can be let out by now: whole lines. The more are asked for at once, the more of what spans lines is found. */
  lines(): string {
    const afterLines = this.#held.lastIndexOf('\n') + 1;
    if (afterLines > 0) return this.#letOut(afterLines);
    return this.#held.length > MAX_HELD_CHARS ? this.#letOut(this.#held.length - KEPT_CHARS) : '';
  }

  /** The rest; nothing follows it. */
  end(): string {
    return this.#letOut(this.#held.length);
  }

  #letOut(length: number): string {
    const { scrubbed, rest } = this.#redactor.scrubUpTo(this.#held, length);
    this.#held = rest;
    return scrubbed;
  }
}
