import type { TaskRecord } from './store.ts';

interface Line {
  readonly waiting: Set<string>;
  /** Whether `waiting` may be in another order than that of age: a task that came back stands behind younger ones. */
  isMixed: boolean;
  readonly held: Set<string>;
}

/** A line in one round of questions. */
interface Turn {
  readonly line: Line;
  readonly rest: Iterator<string, unknown>;
  head: string;
}

/**
 * Who is next of the waiting tasks. Those of one affinity stand in one line, oldest first, and those without any in
 * one more. The next comes from the line of which fewest are held, the oldest of them if there are several: neither
 * thousands of looks of one connector, nor an instance at which each takes a minute, keep the others waiting.
 *
 * Every credit frame asks, so the lines are kept rather than made from all tasks.
 */
export class TaskLines {
  readonly #lines = new Map<string | null, Line>();
  /** When a task came, as a count. */
  readonly #ages = new Map<string, number>();
  #newest = 0;

  /** To be told of each task and each change of its state; of a task for the first time in the order of age. */
  moved({ taskId, affinity, state }: Pick<TaskRecord, 'taskId' | 'affinity' | 'state'>): void {
    const line = this.#lines.get(affinity) ?? { waiting: new Set(), isMixed: false, held: new Set() };
    line.waiting.delete(taskId);
    line.held.delete(taskId);
    if (state.at === 'ended') {
      this.#ages.delete(taskId);
    } else if (state.at !== 'waiting') {
      line.held.add(taskId);
    } else {
      line.isMixed ||= this.#ages.has(taskId);
      line.waiting.add(taskId);
    }
    if (state.at !== 'ended' && !this.#ages.has(taskId)) this.#ages.set(taskId, (this.#newest += 1));
    if (line.waiting.size + line.held.size === 0) this.#lines.delete(affinity);
    else this.#lines.set(affinity, line);
  }

  /** Each waiting task once; which line comes next is decided when it is asked for, by what is held then. */
  *inTurn(): Generator<string, void, undefined> {
    const turns: Turn[] = [];
    for (const line of this.#lines.values()) {
      const rest = this.#inOrder(line).values();
      const first = rest.next();
      if (first.done !== true) turns.push({ line, rest, head: first.value });
    }
    while (turns.length > 0) {
      const turn = turns.reduce((best, other) => (this.#isBefore(other, best) ? other : best));
      yield turn.head;
      const next = turn.rest.next();
      if (next.done === true) turns.splice(turns.indexOf(turn), 1);
      else turn.head = next.value;
    }
  }

  #isBefore(one: Turn, other: Turn): boolean {
    const fewer = one.line.held.size - other.line.held.size;
    return fewer < 0 || (fewer === 0 && this.#ageOf(one.head) < this.#ageOf(other.head));
  }

  #inOrder(line: Line): Set<string> {
    if (line.isMixed) {
      const sorted = [...line.waiting].sort((a, b) => this.#ageOf(a) - this.#ageOf(b));
      line.waiting.clear();
      for (const taskId of sorted) line.waiting.add(taskId);
      line.isMixed = false;
    }
    return line.waiting;
  }

  #ageOf(taskId: string): number {
    return this.#ages.get(taskId) ?? 0;
  }
}
