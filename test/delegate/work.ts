import type { PreparedTask, TaskContext, TaskType } from '../../src/connectors/connector.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { deferred, untilAborted } from '../../src/kit/flow.ts';
import { until } from '../support/until.ts';

/** One task that runs, in the hands of the test. */
export interface Work {
  readonly name: string;
  readonly input: unknown;
  readonly context: TaskContext;
  finish(output?: unknown): void;
  fail(error: Error): void;
}

/**
 * Tasks whose ends the test decides: `test.read`, `test.write`, `test.hung` (which ignores its signal), and
 * `test.echo`, which returns its input at once.
 */
export class Workshop {
  /** Every work that began, oldest first. */
  readonly begun: Work[] = [];
  readonly types: readonly TaskType[] = [
    this.#type('test.read', 'reads', untilAborted),
    this.#type('test.write', 'writes', untilAborted),
    this.#type('test.hung', 'reads', (work) => work),
    echo,
  ];
  #asked = 0;

  /** The next work that nobody has asked for, once it has begun. */
  async next(): Promise<Work> {
    const index = this.#asked;
    this.#asked += 1;
    await until(`work ${index + 1} begins`, () => this.begun.length > index);
    const work = this.begun[index];
    if (work === undefined) throw new Error('it was there');
    return work;
  }

  /** Ends what ignores its signal, so that no test leaves it behind. */
  finishAll(): void {
    for (const work of this.begun) work.finish();
  }

  #type(
    name: string,
    effect: TaskType['effect'],
    wait: (work: Promise<unknown>, signal: AbortSignal) => Promise<unknown>,
  ): TaskType {
    const prepare = (input: unknown): PreparedTask => ({
      run: (context) => {
        const end = deferred<unknown>();
        const finish = (output: unknown = { done: true }): void => end.resolve(output);
        this.begun.push({ name, input, context, finish, fail: (error) => end.reject(error) });
        return wait(end.promise, context.signal);
      },
    });
    return { name, version: 1, effect, prepare };
  }
}

const echo: TaskType = {
  name: 'test.echo',
  version: 1,
  effect: 'reads',
  prepare: (input) => ({ run: () => Promise.resolve(input) }),
};

/** A task type whose `prepare` refuses every input. */
export function refusing(
  category: 'invalid-input' | 'policy',
  hint?: string,
  message = 'The input does not do.',
): TaskType {
  return {
    name: 'test.refusing',
    version: 1,
    effect: 'reads',
    prepare: () => {
      throw new DelegateError('refused-here', message, { category, hint });
    },
  };
}
