import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { z } from 'zod';
import { deferred, type Deferred } from '../../src/kit/flow.ts';
import type { CompiledProcesses, Role } from './compile.ts';
import { fromProcess } from './messages.ts';

/** Longer than any load that is asked for lasts, a hundred thousand tasks on a slow machine among them. */
const ANSWERS_WITHIN_MS = 900_000;

/** One of the bench's own processes: it is told what to do, and answers. */
export class BenchProcess implements AsyncDisposable {
  readonly role: Role;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #ready: Deferred<readonly string[]> = deferred();
  #answer: Deferred<unknown> = deferred();

  private constructor(role: Role, child: ChildProcess) {
    this.role = role;
    this.#child = child;
    child.on('message', (raw) => {
      const message = fromProcess.parse(raw);
      if (message.said === 'ready') this.#ready.resolve(message.urls);
      else if (message.said === 'answer') this.#answer.resolve(message.answer);
      else this.#answer.reject(new Error(`${role}: ${message.why}`));
    });
    this.#exited = once(child, 'close');
    child.once('close', () => {
      const gone = new Error(`${role} has ended`);
      this.#ready.reject(gone);
      this.#answer.reject(gone);
    });
    // Whoever is not asked anything ends without a failure.
    for (const { promise } of [this.#ready, this.#answer]) promise.catch(() => {});
  }

  /**
   * Resolves when it is ready.
   *
   * @param hand made known to the process at its start
   */
  static async start(
    compiled: CompiledProcesses,
    role: Role,
    { hand = null }: { readonly hand?: unknown } = {},
  ): Promise<BenchProcess> {
    const child = fork(compiled.file(role), [JSON.stringify(hand)], {
      // Those of the bench itself are for the bench. What the delegate ships with would slow down those it is compared with.
      execArgv: [],
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    });
    const started = new BenchProcess(role, child);
    await started.#ready.promise;
    return started;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Where it listens, for one that does. */
  async urls(): Promise<readonly string[]> {
    return await this.#ready.promise;
  }

  async url(): Promise<string> {
    const [url] = await this.urls();
    if (url === undefined) throw new TypeError(`${this.role} does not listen`);
    return url;
  }

  /** One order at a time. Rejects if the process can't do it, or ends. */
  async ask<S extends z.ZodType>(order: object, answer: S): Promise<z.output<S>> {
    this.#answer = deferred();
    this.#child.send(order);
    const overdue = setTimeout(
      () => this.#answer.reject(new Error(`${this.role} does not answer`)),
      ANSWERS_WITHIN_MS,
    );
    try {
      return answer.parse(await this.#answer.promise);
    } finally {
      clearTimeout(overdue);
    }
  }

  /** Kills it: nothing in it outlives the bench. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
