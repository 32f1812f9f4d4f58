import type { Redactor } from '../../kit/secret.ts';
import { jsonSchema, keyOf, type TaskAssign, type TaskRef, type ToManager } from '../../protocol/messages.ts';
import { saidIn } from './manager-words.ts';
import { withoutSecrets } from './outgoing.ts';
import type { TaskEntry } from './task-state.ts';

/** Of a word that is kept for a result, in characters; no text that an answer repeats is longer. */
const MAX_KEPT_LINE = 4_096;

/** What the manager has said of each task, which is not masked in what it is told about that task. */
export class SpokenWords {
  readonly #redactor: Redactor;
  readonly #entryOf: (ref: TaskRef) => TaskEntry | undefined;
  /** Tasks on which nothing is decided yet. */
  readonly #judged = new Map<string, TaskAssign>();
  /** Of the others. */
  readonly #said = new WeakMap<TaskEntry, () => string>();

  constructor(redactor: Redactor, entryOf: (ref: TaskRef) => TaskEntry | undefined) {
    this.#redactor = redactor;
    this.#entryOf = entryOf;
  }

  /** Has the words of an assign at hand while it is answered. */
  async during(assign: TaskAssign, answer: () => Promise<void>): Promise<void> {
    const key = keyOf(assign);
    // Not a second frame of that name: what it says is not what the answer is about.
    const isFirst = !this.#judged.has(key) && this.#entryOf(assign) === undefined;
    if (isFirst) this.#judged.set(key, assign);
    try {
      await answer();
    } finally {
      if (isFirst) this.#judged.delete(key);
    }
  }

  /** @param ownWords the answer's own vocabulary; those of it that are secrets, too, are left as well */
  keep(entry: TaskEntry, assign: TaskAssign, ownWords: readonly string[] = []): void {
    this.#said.set(entry, () => {
      const alsoSecret = ownWords.filter((word) => this.#redactor.scrub(word) !== word);
      return saidIn(assign, alsoSecret);
    });
  }

  /**
   * The task has ended: of its words only those are kept that a mask would have stood for. Its result may wait for days,
   * with many others, and inputs are large.
   */
  settle(entry: TaskEntry): void {
    const words = this.#said.get(entry)?.() ?? '';
    const kept =
      this.#redactor.scrub(words) === words
        ? ''
        : words
            .split('\n')
            .filter((line) => line.length <= MAX_KEPT_LINE && this.#redactor.scrub(line) !== line)
            .join('\n');
    this.#said.set(entry, () => kept);
  }

  /** One text of all of them; undefined of a task that is not known. */
  of(ref: TaskRef): (() => string) | undefined {
    const entry = this.#entryOf(ref);
    if (entry !== undefined) return this.#said.get(entry);
    const assign = this.#judged.get(keyOf(ref));
    return assign && (() => saidIn(assign));
  }

  /** The frame without secrets. */
  clean(frame: ToManager): ToManager {
    const said = 'taskId' in frame ? this.of(frame) : undefined;
    return withoutSecrets(frame, {
      text: (text) => this.#redactor.scrub(text, said),
      json: (value) => jsonSchema.parse(this.#redactor.scrubFinal(value, said)),
    });
  }
}
