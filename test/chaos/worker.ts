import { fork, type ChildProcess } from 'node:child_process';
import type { z } from 'zod';
import { deferred } from '../../src/kit/flow.ts';
import { exitOf, type Ending } from '../support/child.ts';

/** Of standard error, for the story of a process that ended by itself. */
const MAX_KEPT_CHARS = 4_000;

/** One process of the world and the channel to it. It says `waiting` when it is loaded, `started` when it works. */
export class Worker<In extends object, Out extends { said: string }> {
  readonly #process: ChildProcess;
  readonly #loaded = deferred<void>();
  readonly #started = deferred<void>();
  readonly #listeners: ((message: Out) => void)[] = [];
  #complaint = '';
  /** Never rejects. */
  readonly exited: Promise<Ending>;

  constructor(entry: URL, said: z.ZodType<Out>) {
    this.#process = fork(entry, {
      execArgv: [],
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Ctrl+C in a terminal is for whoever owns the world.
      detached: true,
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-MAX_KEPT_CHARS);
    });
    this.#process.on('message', (raw) => this.#hear(said.parse(raw)));
    this.exited = exitOf(this.#process).finally(() => {
      this.#loaded.resolve();
      this.#started.resolve();
    });
  }

  /** Resolves when it can take orders; also when it has ended before. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Resolves when it has begun what it was ordered to; also when it has ended before. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** The end of what it wrote to standard error. */
  get complaint(): string {
    return this.#complaint;
  }

  onSaid(listener: (message: Out) => void): void {
    this.#listeners.push(listener);
  }

  /** Lost if the process is gone, as with a letter to nobody. */
  order(message: In): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  #hear(message: Out): void {
    if (message.said === 'waiting') this.#loaded.resolve();
    if (message.said === 'started') this.#started.resolve();
    for (const listener of this.#listeners) listener(message);
  }
}

/** Processes of one kind, the next ones always loaded already: a restart takes no longer than it would in life. */
export class ProcessPool<In extends object, Out extends { said: string }> implements AsyncDisposable {
  readonly #entry: URL;
  readonly #said: z.ZodType<Out>;
  readonly #spares: Worker<In, Out>[];
  readonly #alive = new Set<Worker<In, Out>>();
  #disposed = false;

  constructor(entry: URL, said: z.ZodType<Out>, spares: number) {
    this.#entry = entry;
    this.#said = said;
    this.#spares = Array.from({ length: spares }, () => this.#fork());
  }

  async take(): Promise<Worker<In, Out>> {
    if (this.#disposed) throw new Error('the pool is closed');
    const worker = this.#spares.shift() ?? this.#fork();
    this.#spares.push(this.#fork());
    await worker.loaded;
    return worker;
  }

  /** Ends every process that it has made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const worker of this.#alive) worker.kill('SIGKILL');
    await Promise.all([...this.#alive].map((worker) => worker.exited));
  }

  #fork(): Worker<In, Out> {
    const worker = new Worker<In, Out>(this.#entry, this.#said);
    this.#alive.add(worker);
    void worker.exited.then(() => this.#alive.delete(worker));
    return worker;
  }
}
