import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { systemClock } from '../kit/time.ts';
import { developmentError } from './errors.ts';

const READY_WITHIN_MS = 30_000;
/** After this a process that was asked to stop is killed. Longer than the grace that a delegate takes. */
const STOP_WITHIN_MS = 35_000;

/** A line of a process's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface ChildOptions {
  name: string;
  /** Node's own arguments, script first. */
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  /** Every line of standard output and error, as it comes. */
  onLine: (name: string, line: string) => void;
}

interface Waiter {
  matches: (line: LogLine) => boolean;
  resolve: (line: LogLine) => void;
  reject: (error: Error) => void;
}

/** A process of the development world: it tells by its log when it is ready, and is stopped by SIGTERM. */
export class Child implements AsyncDisposable {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiters = new Set<Waiter>();
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | string>;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.#process = spawn(process.execPath, [...options.argv], {
      env: options.env,
      // The fourth is a channel that carries nothing: its end tells the child that its parent is gone.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A process group of its own: Ctrl+C in a terminal is for whoever owns the world, who stops the rest in order.
      detached: true,
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        options.onLine(this.name, line);
        this.#take(line);
      });
    }
    this.exited = once(this.#process, 'close').then(([code, signal]: unknown[]) => {
      const how = typeof code === 'number' ? code : String(signal);
      const error = developmentError('process-ended', `${this.name} ended (${how}) before it was ready.`);
      for (const waiter of this.#waiters) waiter.reject(error);
      return how;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The first line, past or to come, that matches. Rejects if the process ends or takes too long. */
  async line(matches: (line: LogLine) => boolean, withinMs: number = READY_WITHIN_MS): Promise<LogLine> {
    const past = this.#lines.find(matches);
    if (past !== undefined) return past;
    return await new Promise<LogLine>((resolve, reject) => {
      const overdue = systemClock.after(withinMs, () => {
        waiter.reject(
          developmentError('process-overdue', `${this.name} was not ready within ${withinMs / 1_000} s.`),
        );
      });
      const settle = (): void => {
        overdue.cancel();
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        matches,
        resolve: (line) => {
          settle();
          resolve(line);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** Asks it to stop and waits for its end. */
  async stop(): Promise<number | string> {
    this.kill('SIGTERM');
    const overdue = systemClock.after(STOP_WITHIN_MS, () => this.kill('SIGKILL'));
    try {
      return await this.exited;
    } finally {
      overdue.cancel();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #take(text: string): void {
    const line = parseLine(text);
    if (line === undefined) return;
    this.#lines.push(line);
    for (const waiter of this.#waiters) if (waiter.matches(line)) waiter.resolve(line);
  }
}

const lineSchema = z.record(z.string(), z.unknown());

/** Not every line is JSON: a runtime's own warnings are not. */
function parseLine(text: string): LogLine | undefined {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
