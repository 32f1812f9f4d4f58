import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NODE_FLAGS } from '../bundle/node-flags.ts';
import { secretEnvironment } from './question.ts';

export interface DelegateRun {
  /** Further arguments of Node's own, the script, and its command. */
  readonly argv: readonly string[];
  readonly managerUrl: string;
  readonly enrolmentToken?: string;
  /** Exists; holds the state folder and the log. */
  readonly folder: string;
  readonly capacity: number;
  /** That tasks name; the usual one unless given. */
  readonly secrets?: readonly string[];
}

/** Of its log, for whoever reads why it ended. */
const LAST_LINES = 20;
const STOPS_WITHIN_MS = 30_000;

/** The delegate that is measured: `servicenow-delegate run`, with its log in a file beside its state folder. */
export class DelegateProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #logPath: string;

  private constructor(child: ChildProcess, logPath: string) {
    this.#child = child;
    this.#logPath = logPath;
    this.#exited = once(child, 'close');
  }

  static async start(run: DelegateRun): Promise<DelegateProcess> {
    const logPath = join(run.folder, 'log');
    const log = await open(logPath, 'a');
    try {
      const child = spawn(process.execPath, [...NODE_FLAGS, ...run.argv], {
        env: environmentOf(run),
        // The last is a channel that carries nothing: its end tells the delegate that the bench is gone.
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
      });
      await once(child, 'spawn');
      return new DelegateProcess(child, logPath);
    } finally {
      await log.close();
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What the work comes to; rejects if the delegate ends meanwhile. */
  async during<T>(work: Promise<T>): Promise<T> {
    const gone = this.#exited.then(async () => {
      const log = await readFile(this.#logPath, 'utf8');
      throw new Error(`the delegate has ended:\n${log.trimEnd().split('\n').slice(-LAST_LINES).join('\n')}`);
    });
    return await Promise.race([work, gone]);
  }

  /** As an operator stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    const overdue = setTimeout(() => this.#child.kill('SIGKILL'), STOPS_WITHIN_MS);
    await this.#exited;
    clearTimeout(overdue);
  }
}

/** All that it finds in its environment, `NODE_ENV` as in the image. */
export function environmentOf({
  managerUrl,
  enrolmentToken,
  folder,
  capacity,
  secrets,
}: DelegateRun): Record<string, string> {
  return {
    NODE_ENV: 'production',
    DELEGATE_MANAGER_URL: managerUrl,
    DELEGATE_ENROLMENT_TOKEN: enrolmentToken ?? 'any-token-of-the-bench',
    DELEGATE_NAME: 'bench',
    DELEGATE_STATE_DIR: join(folder, 'state'),
    DELEGATE_HTTP_PORT: '0',
    DELEGATE_CAPACITY: String(capacity),
    DELEGATE_ALLOW_LOOPBACK: 'true',
    ...secretEnvironment(secrets),
  };
}
