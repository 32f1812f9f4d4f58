import { forgetOldest } from '../../kit/bounds.ts';
import type { TaskRef } from '../../protocol/messages.ts';

/** How many tasks are remembered after their end, so that a late copy of an assign starts nothing. */
export const MAX_REMEMBERED_ENDED = 1_000;

/** Of each task that was acknowledged or discarded lately, the highest attempt. */
export class EndedAttempts {
  /** By task id, oldest first. */
  readonly #attempts = new Map<string, number>();

  remember({ taskId, attempt }: TaskRef): void {
    const highest = Math.max(attempt, this.of(taskId) ?? 0);
    this.#attempts.delete(taskId);
    this.#attempts.set(taskId, highest);
    forgetOldest(this.#attempts, MAX_REMEMBERED_ENDED);
  }

  of(taskId: string): number | undefined {
    return this.#attempts.get(taskId);
  }

  /** Oldest first. */
  refs(): TaskRef[] {
    return Array.from(this.#attempts, ([taskId, attempt]) => ({ taskId, attempt }));
  }
}
