import { createHash } from 'node:crypto';
import type { SimulatedTime } from './time.ts';

const UUID = /(?:task-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/**
 * Everything that happened in one world, a line each. Two histories of one seed are equal, character by character:
 * what is random in earnest (the manager's UUIDs) is written by the name that it got when it was first seen.
 */
export class History {
  readonly #time: SimulatedTime;
  readonly #lines: string[] = [];
  readonly #names = new Map<string, string>();
  /** Called with each line as it is added. */
  onLine: (line: string) => void = () => {};

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  /** Writes `id` as `name` from now on. */
  call(id: string, name: string): void {
    this.#names.set(id, name);
  }

  note(who: string, what: string): void {
    const at = (this.#time.monotonic() / 1_000).toFixed(3).padStart(9);
    const line = `${at} ${who.padEnd(5)} ${this.plain(what)}`;
    this.#lines.push(line);
    this.onLine(line);
  }

  /** A text with every UUID by its name. */
  plain(text: string): string {
    return text.replaceAll(UUID, (id) => {
      const name = this.#names.get(id) ?? `u${this.#names.size + 1}`;
      this.#names.set(id, name);
      return name;
    });
  }

  get length(): number {
    return this.#lines.length;
  }

  /** The last lines up to a moment, given as the number of lines there were then. */
  last(count: number, upTo: number = this.length): string[] {
    return this.#lines.slice(Math.max(0, upTo - count), upTo);
  }

  /** Every line that names the task. */
  storyOf(task: string): string[] {
    const named = new RegExp(String.raw`\b${task}\b`);
    return this.#lines.filter((line) => named.test(line));
  }

  hash(): string {
    return createHash('sha256').update(this.#lines.join('\n')).digest('hex');
  }
}
