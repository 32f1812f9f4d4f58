import { deferred } from '../../src/kit/flow.ts';
import type { Ending } from '../support/child.ts';
import { within } from '../support/until.ts';
import type { ProcessPool, Worker } from './worker.ts';

/** Real time for a process to end after it was asked to. Reached only by one that hangs. */
const LEAVE_WITHIN_MS = 20_000;

/**
 * Keeps one role of the world filled: starts its processes, one after the other, and ends them as the plan says. An
 * end that nobody has asked for is trouble.
 */
export class SupervisedProcess<In extends object, Out extends { said: string }> {
  readonly name: string;
  readonly #pool: ProcessPool<In, Out>;
  readonly #startOrder: In;
  readonly #onSaid: (message: Out) => void;
  readonly #trouble = deferred<never>();
  #worker: Worker<In, Out> | undefined;

  constructor(
    name: string,
    pool: ProcessPool<In, Out>,
    startOrder: In,
    onSaid: (message: Out) => void = () => {},
  ) {
    this.name = name;
    this.#pool = pool;
    this.#startOrder = startOrder;
    this.#onSaid = onSaid;
    // Whoever runs the world listens; until then it must not count as unheard.
    this.#trouble.promise.catch(() => {});
  }

  /** Rejects when a process ends by itself, or other than it should; never resolves. */
  get trouble(): Promise<never> {
    return this.#trouble.promise;
  }

  /** Resolves when there is a process with the order to start; it may be killed before it has. */
  async start(): Promise<void> {
    const worker = await this.#pool.take();
    worker.onSaid(this.#onSaid);
    this.#worker = worker;
    void this.#watch(worker);
    worker.order(this.#startOrder);
  }

  order(message: In): void {
    this.#worker?.order(message);
  }

  freeze(): void {
    this.#worker?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#worker?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const worker = this.#dismiss();
    worker?.kill('SIGKILL');
    await worker?.exited;
  }

  /** Asks it to leave once it has begun, and waits until it has left. */
  async leave(ask: (worker: Worker<In, Out>) => void): Promise<void> {
    await this.#worker?.started;
    const worker = this.#dismiss();
    if (worker === undefined) return;
    ask(worker);
    const ending = await within(`the end of ${this.name}`, worker.exited, LEAVE_WITHIN_MS);
    if (ending !== 0) this.#complain(worker, ending);
  }

  async #watch(worker: Worker<In, Out>): Promise<void> {
    const ending = await worker.exited;
    if (this.#worker === worker) this.#complain(worker, ending);
  }

  #dismiss(): Worker<In, Out> | undefined {
    const worker = this.#worker;
    this.#worker = undefined;
    return worker;
  }

  #complain(worker: Worker<In, Out>, ending: Ending): void {
    this.#trouble.reject(new Error(`${this.name} ended by itself (${ending}). ${worker.complaint}`));
  }
}
