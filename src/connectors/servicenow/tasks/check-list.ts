import { wrap, type DelegateError, type WireError } from '../../../kit/errors.ts';
import type { TaskContext } from '../../connector.ts';

export type CheckId = 'secrets' | 'key-material' | 'network' | 'token' | 'api' | 'access' | 'clock';

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
  detail?: string;
  warning?: DelegateError | undefined;
}

/** Runs checks one after another and keeps the report. */
export class CheckList {
  readonly checks: Check[] = [];
  readonly errors: WireError[] = [];
  readonly warnings: WireError[] = [];
  readonly #context: TaskContext;

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** The value found, or undefined if the check failed. An aborted task ends here with its signal's reason. */
  async run<T>(id: CheckId, title: string, find: () => Promise<Finding<T>>): Promise<T | undefined> {
    const { clock, signal } = this.#context;
    signal.throwIfAborted();
    this.#context.progress(title);
    const startedAt = clock.monotonic();
    const add = (status: Check['status'], detail: string | undefined): void => {
      const durationMs = Math.round(clock.monotonic() - startedAt);
      this.checks.push({ id, title, status, durationMs, ...(detail === undefined ? {} : { detail }) });
    };
    try {
      const { value, detail, warning } = await find();
      if (warning !== undefined) this.warn(warning);
      add(warning === undefined ? 'passed' : 'warned', detail ?? warning?.message);
      return value;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = wrap(thrown);
      // A defect of ours is not the connector's failure: the test could not be made.
      if (error.code === 'internal') throw thrown;
      this.errors.push(error.toWire());
      add('failed', error.message);
      return undefined;
    }
  }

  skip(id: CheckId, title: string): void {
    this.checks.push({ id, title, status: 'skipped', durationMs: 0 });
  }

  /** What two checks notice is said once. */
  warn(warning: DelegateError): void {
    if (this.warnings.some(({ code }) => code === warning.code)) return;
    this.warnings.push(warning.toWire());
  }
}
