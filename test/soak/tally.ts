import { promisedLines, type Ended } from '../support/promised-lines.ts';

interface Task {
  readonly key: string;
  readonly writes: boolean;
  ending: Ending | undefined;
}

/** What the tally keeps of how a task ended. */
type Ending = Pick<Ended, 'outcome' | 'error'>;

/** What became of each task, as its manager tells it. */
export class Tally {
  readonly #tasks = new Map<string, Task>();
  #running = 0;

  get taken(): number {
    return this.#tasks.size;
  }

  get running(): number {
    return this.#running;
  }

  get outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { ending } of this.#tasks.values()) {
      const outcome = ending?.outcome ?? 'none';
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return counts;
  }

  took({ taskId, key, writes }: { taskId: string; key: string; writes: boolean }): void {
    this.#tasks.set(taskId, { key, writes, ending: undefined });
    this.#running += 1;
  }

  /** The first end counts; there must be no other. */
  ended(taskId: string, { outcome, error }: Ending): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined || task.ending !== undefined) return;
    task.ending = { outcome, error };
    this.#running -= 1;
  }

  /**
   * What must not be, whatever the machine was busy with: a task without an end, one that wrote twice, and one that
   * claims to have written, or not, and is proved wrong.
   *
   * @param written the keys in the ledger, as often as they are there
   */
  *complaints(written: readonly string[]): Iterable<string> {
    const lines = new Map<string, number>();
    for (const key of written) lines.set(key, (lines.get(key) ?? 0) + 1);
    for (const { key, writes, ending } of this.#tasks.values()) {
      const times = lines.get(key) ?? 0;
      if (ending === undefined) yield `${key} has no end`;
      if (times > 1) yield `${key} was written ${times} times`;
      else if (writes && ending !== undefined && !promisedLines(ending).includes(times)) {
        yield `${key} ended ${ending.outcome}, and was ${times === 0 ? 'not written' : 'written'}`;
      }
    }
  }
}
