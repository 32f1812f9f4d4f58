import { wrap } from '../../kit/errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { TaskRef, TaskResult } from '../../protocol/messages.ts';
import type { Journal } from '../journal/journal.ts';

/** What the manager is told of a task that is not taken for it. */
export const CANNOT_RECORD = 'The delegate cannot record tasks on its disk at present; its log says why.';

/** The journal as tasks use it. A result that it refuses is worth sending all the same, and what it refuses is heard here. */
export class TaskRecords {
  readonly #log: Logger;
  #journal: Journal | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Records in this journal from now on. */
  open(journal: Journal): void {
    this.#journal = journal;
  }

  get journal(): Journal {
    if (this.#journal === undefined) throw new Error('a task came before the journal');
    return this.#journal;
  }

  get writable(): boolean {
    return this.#journal?.writable ?? false;
  }

  /** Resolves when the result is on disk, or the disk refused: then it is sent from memory, which is better than not. */
  async keep(result: TaskResult): Promise<void> {
    try {
      await this.journal.finish(result);
    } catch (thrown) {
      const { taskId, attempt } = result;
      this.#log.error({ taskId, attempt, ...wrap(thrown).toWire() }, 'a result is kept in memory alone');
    }
  }

  /** The result that is kept is now this one. Nobody waits for it. */
  replace(result: TaskResult): void {
    this.#hear(this.journal.finish(result));
  }

  /** Nobody waits for it. */
  forget(ref: TaskRef): void {
    this.#hear(this.journal.forget(ref));
  }

  #hear(promise: Promise<void>): void {
    // The journal tells once that the disk fails, and makes up for the record when it takes one again.
    promise.catch((error: unknown) => this.#log.debug({ err: error }, 'not recorded for now'));
  }
}
