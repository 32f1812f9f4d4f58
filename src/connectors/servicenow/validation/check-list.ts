import { wrap, type DelegateError, type WireError } from '../../../kit/errors.ts';
import { untilAborted } from '../../../kit/flow.ts';
import type { Timer } from '../../../kit/time.ts';
import type { TaskContext } from '../../connector.ts';
import { validationError } from './errors.ts';

/** Before the task's own end: what was found by then must still become a report. */
const REPORT_MARGIN_MS = 1_000;

/** The checks in the order of the report. */
export const CHECK_IDS = ['secrets', 'key-material', 'network', 'token', 'api', 'access', 'clock'] as const;

export type CheckId = (typeof CHECK_IDS)[number];

export interface Check {
  id: CheckId;
  title: string;
  status: 'passed' | 'failed' | 'warned' | 'skipped';
  durationMs: number;
  detail?: string;
}

/** What a check found. */
export interface Finding<T> {
  value: T;
  detail?: string | undefined;
  warnings?: readonly DelegateError[];
  /** What was thrown on the way, where more than one thing can fail. With any, the check has failed. */
  failures?: readonly unknown[];
}

interface Failure {
  readonly check: CheckId;
  readonly error: WireError;
}

/**
 * Runs checks one after another and keeps the report. It ends a check that would outlast the task: a connection on
 * which everything hangs is to be told of, and an aborted task tells nothing.
 */
export class CheckList implements Disposable {
  readonly checks: Check[] = [];
  readonly failures: Failure[] = [];
  readonly warnings: WireError[] = [];
  /** The task's, with the earlier end. */
  readonly #context: TaskContext;
  readonly #task: TaskContext;
  readonly #late = new AbortController();
  readonly #alarm: Timer;

  constructor(task: TaskContext) {
    const { clock, log } = task;
    const deadline = task.deadline - REPORT_MARGIN_MS;
    this.#task = task;
    this.#alarm = clock.after(deadline - clock.monotonic(), () => this.#late.abort());
    this.#context = {
      signal: AbortSignal.any([task.signal, this.#late.signal]),
      deadline,
      clock,
      log,
      fence: () => task.fence(),
      progress: (message) => task.progress(message),
      usedSecret: (name, origins) => task.usedSecret(name, origins),
      trace: task.trace,
    };
  }

  [Symbol.dispose](): void {
    this.#alarm.cancel();
  }

  /**
   * What was found, undefined if nothing was. An aborted task ends here at once, with its signal's reason.
   *
   * @param options.advisory the connection works without it: what fails here is a warning
   */
  async run<T>(
    id: CheckId,
    title: string,
    find: (context: TaskContext) => Finding<T> | Promise<Finding<T>>,
    { advisory = false }: { advisory?: boolean } = {},
  ): Promise<T | undefined> {
    const { clock, signal } = this.#task;
    signal.throwIfAborted();
    if (this.#late.signal.aborted) {
      this.skip(id, title);
      return undefined;
    }
    this.#task.progress(title);
    const startedAt = clock.monotonic();
    const { value, detail, warnings = [], failures = [] } = await this.#look(title, find);
    const failed = failures.map(reportable);
    const errors = advisory ? [] : failed;
    const noticed = advisory ? [...failed, ...warnings] : warnings;
    for (const error of errors) this.failures.push({ check: id, error: error.toWire() });
    for (const warning of noticed) this.warn(warning);
    const told = detail ?? [...errors, ...noticed].map(({ message }) => message).join(' ');
    this.checks.push({
      id,
      title,
      status: errors.length > 0 ? 'failed' : noticed.length > 0 ? 'warned' : 'passed',
      durationMs: Math.round(clock.monotonic() - startedAt),
      ...(told === '' ? {} : { detail: told }),
    });
    return value;
  }

  skip(id: CheckId, title: string): void {
    this.checks.push({ id, title, status: 'skipped', durationMs: 0 });
  }

  /** What two checks notice is said once. */
  warn(warning: DelegateError): void {
    const { code, message } = warning;
    if (this.warnings.some((said) => said.code === code && said.message === message)) return;
    this.warnings.push(warning.toWire());
  }

  async #look<T>(
    title: string,
    find: (context: TaskContext) => Finding<T> | Promise<Finding<T>>,
  ): Promise<Finding<T | undefined>> {
    try {
      const work = Promise.resolve(this.#context).then(find);
      // The signal is in the work as well; but a file on a share that hangs can't be given up.
      return await untilAborted(work, this.#context.signal);
    } catch (thrown) {
      this.#task.signal.throwIfAborted();
      return { value: undefined, failures: [this.#late.signal.aborted ? outOfTime(title, thrown) : thrown] };
    }
  }
}

/** A defect of ours is not the connector's failure: the test could not be made. */
function reportable(thrown: unknown): DelegateError {
  const error = wrap(thrown);
  if (error.code === 'internal') throw thrown;
  return error;
}

function outOfTime(title: string, cause: unknown): DelegateError {
  const message = `The time was up before the check "${title}" was done.`;
  return validationError('servicenow.test-out-of-time', message, { cause });
}
