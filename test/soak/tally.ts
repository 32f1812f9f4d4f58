interface Task {
  readonly key: string;
  readonly writes: boolean;
  outcome: string | undefined;
}

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
    for (const { outcome = 'none' } of this.#tasks.values()) counts[outcome] = (counts[outcome] ?? 0) + 1;
    return counts;
  }

  took({ taskId, key, writes }: { taskId: string; key: string; writes: boolean }): void {
    this.#tasks.set(taskId, { key, writes, outcome: undefined });
    this.#running += 1;
  }

  /** The first end counts; there must be no other. */
  ended(taskId: string, outcome: string): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined || task.outcome !== undefined) return;
    task.outcome = outcome;
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
    for (const { key, writes, outcome } of this.#tasks.values()) {
      const times = lines.get(key) ?? 0;
      if (outcome === undefined) yield `${key} has no end`;
      if (times > 1) yield `${key} was written ${times} times`;
      if (writes && outcome === 'succeeded' && times === 0) yield `${key} succeeded, and nothing was written`;
      if (writes && outcome === 'failed' && times > 0) yield `${key} failed, and was written`;
    }
  }
}
