import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { exitOf, type Ending } from '../support/child.ts';
import { within } from '../support/until.ts';
import { orders, type Holdings, type ToDelegateProcess } from './orders.ts';

const ENTRY = fileURLToPath(new URL('delegate-process.ts', import.meta.url));
const LOADED_WITHIN_MS = 30_000;
/** A collection of garbage on a machine that is busy with something else. */
const MEASURED_WITHIN_MS = 10_000;
const ENDED_WITHIN_MS = 40_000;

/** One delegate of the soak and the channel to it. */
export class SoakProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #loaded = deferred<void>();
  #measured: Deferred<Holdings> = deferred();
  readonly exited: Promise<Ending>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (raw) => {
      const said = orders.fromDelegate.parse(raw);
      if (said.said === 'waiting') this.#loaded.resolve();
      else this.#measured.resolve(said.holdings);
    });
    this.exited = exitOf(child);
  }

  /** Begins to load. What the delegate will log goes to this process's standard error. */
  static fork(): SoakProcess {
    return new SoakProcess(
      fork(ENTRY, {
        execArgv: ['--import', 'tsx', '--expose-gc'],
        env: { PATH: process.env['PATH'] ?? '' },
        stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
      }),
    );
  }

  /** Resolves when the delegate begins to run. */
  async start(order: Omit<Extract<ToDelegateProcess, { order: 'start' }>, 'order'>): Promise<void> {
    await within('a delegate to be loaded', this.#loaded.promise, LOADED_WITHIN_MS);
    this.#order({ order: 'start', ...order });
  }

  async measure(): Promise<Holdings> {
    this.#measured = deferred();
    this.#order({ order: 'measure' });
    return await within('what a delegate holds', this.#measured.promise, MEASURED_WITHIN_MS);
  }

  /** Asks it to leave. */
  async leave(): Promise<Ending> {
    this.#child.kill('SIGTERM');
    return await within('a delegate to leave', this.exited, ENDED_WITHIN_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  #order(message: ToDelegateProcess): void {
    this.#child.send(message);
  }
}
