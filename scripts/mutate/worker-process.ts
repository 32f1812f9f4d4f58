import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { answerSchema, type Answer, type Job } from './messages.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** A mutant that collects without end shall run out of memory before the machine does. */
const MAX_HEAP_MIB = 768;

/** A child process that runs jobs one at a time; one that is held up or broken by a mutant is replaced. */
export class WorkerProcess implements AsyncDisposable {
  readonly #bundlePath: string;
  #child: ChildProcess | undefined;

  constructor(bundlePath: string) {
    this.#bundlePath = bundlePath;
  }

  /** @returns 'stuck' if it took longer than `limitMs`, 'broken' if the process ended instead of answering */
  async run(job: Job, limitMs: number): Promise<Answer | 'stuck' | 'broken'> {
    // One that a mutant took down between two jobs is replaced too.
    const child = this.#child?.connected === true ? this.#child : (this.#child = this.#start());
    const cancel = new AbortController();
    const limit = AbortSignal.timeout(limitMs);
    const signal = AbortSignal.any([cancel.signal, limit]);
    try {
      child.send(job);
      const [message] = await Promise.race([
        once(child, 'message', { signal }),
        once(child, 'exit', { signal }).then(() => ['broken']),
      ]);
      return message === 'broken' ? message : answerSchema.parse(message);
    } catch (error) {
      if (!limit.aborted) throw error;
      await this.#stop();
      return 'stuck';
    } finally {
      cancel.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }

  #start(): ChildProcess {
    return fork(WORKER, [this.#bundlePath], {
      execArgv: ['--import', 'tsx', `--max-old-space-size=${MAX_HEAP_MIB}`],
      // What a mutant prints is of no interest; a crash shows by its exit.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
  }

  async #stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // Later than 'exit': its channel is closed by then too.
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
}
