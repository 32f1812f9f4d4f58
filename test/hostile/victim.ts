import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { compose, type ComposedDelegate } from '../../src/compose.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { connectors } from '../../src/connectors/index.ts';
import type { Lookup } from '../../src/http/sockets.ts';
import { Redactor } from '../../src/kit/secret.ts';
import type { Clock } from '../../src/kit/time.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { keyOf, type Json, type TaskReject, type TaskResult } from '../../src/protocol/messages.ts';
import { ScriptedManager, type ManagerScript, type ScriptedConnection } from '../support/scripted-manager.ts';
import { until } from '../support/until.ts';

/** Real time that a task gets, unless its attack says otherwise. */
const TASK_TIME_MS = 4_000;

/** What came of something that the manager tried. */
export interface Came {
  /** Of the reject, or of the error that the task ended with; `succeeded` if it was done. */
  readonly code: string;
  /** What the manager reads of it. */
  readonly text: string;
  /** The task that it came of, if it was one. */
  readonly taskId?: string;
}

/** Something that left the delegate. */
export interface Output {
  readonly where: 'the manager' | 'the log' | 'the audit log' | 'a server of the enemy';
  readonly text: string;
}

interface VictimOptions {
  readonly script: Partial<ManagerScript>;
  readonly stateDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly lookup: Lookup;
  readonly clock: Clock;
  /** How fast that runs. */
  readonly timeFactor: number;
}

/** A test of a connector that failed is a task that succeeded. */
const failedReport = z.object({
  status: z.literal('FAILURE'),
  errors: z.array(z.object({ code: z.string() })),
});

/** A delegate as its operator runs it, with a manager that says whatever an attack wants it to. */
export class Victim implements AsyncDisposable {
  readonly manager: ScriptedManager;
  readonly #options: VictimOptions;
  /** Every line of its log, at its most talkative. */
  readonly #logged: string[] = [];
  #connection: ScriptedConnection | undefined;
  #composed: ComposedDelegate | undefined;
  #running: Promise<void> | undefined;
  #tasks = 0;
  /** What tasks have come to, and how many frames were looked at for that. */
  readonly #ends = new Map<string, TaskReject | TaskResult>();
  readonly #framesRead = new Map<ScriptedConnection, number>();
  /** How much of each output was handed out. */
  #handedOut = { heard: 0, logged: 0, audit: 0 };

  private constructor(manager: ScriptedManager, options: VictimOptions) {
    this.manager = manager;
    this.#options = options;
  }

  /** Its delegate does not run yet. */
  static async create(options: VictimOptions): Promise<Victim> {
    const manager = await ScriptedManager.start(options.script);
    return new Victim(manager, options);
  }

  get connection(): ScriptedConnection {
    if (this.#connection === undefined) throw new Error('it has not connected');
    return this.#connection;
  }

  /** Starts the delegate, which may not get as far as a session. */
  async launch(): Promise<void> {
    const { args, clock, lookup } = this.#options;
    const environment = { ...this.#options.environment, DELEGATE_MANAGER_URL: this.manager.url };
    const { configuration, enrolmentToken, stateKey } = loadConfiguration({ args: [...args], environment });
    const redactor = new Redactor();
    const log = await createLogger({
      level: 'trace',
      format: 'json',
      redactor,
      destination: { write: (line) => void this.#logged.push(line) },
    });
    this.#composed = await compose({
      errorCodes: new Set(),
      logLinesLost: () => 0,
      configuration,
      enrolmentToken,
      stateKey,
      connectors,
      environment,
      version: '26.11.90100',
      redactor,
      clock,
      log,
      lookup,
    });
    this.#running = this.#composed.delegate.run();
  }

  /** Connected, and ready for work. */
  async start(): Promise<void> {
    await this.launch();
    await this.connected();
  }

  /** Takes up the next session: the first one, or one after a connection that the enemy has spoilt. */
  async connected(): Promise<ScriptedConnection> {
    this.#connection = await this.manager.nextSession();
    return this.#connection;
  }

  /** Stops it as an operator does, and starts it on the same folder. */
  async restart(): Promise<void> {
    await this.#end();
    await this.start();
  }

  /** A task that was never asked for before. */
  newTaskId(): string {
    this.#tasks += 1;
    return `task-${this.#tasks}`;
  }

  /** Asks for one task and waits for what comes of it. */
  async ask(
    name: string,
    input: Json,
    more: {
      taskId?: string;
      attempt?: number;
      signature?: string;
      timeoutMs?: number;
      traceparent?: string;
    } = {},
  ): Promise<Came> {
    const { taskId = this.newTaskId(), attempt = 1, ...changes } = more;
    const timeoutMs = TASK_TIME_MS * this.#options.timeFactor;
    this.connection.assign({ taskId, attempt }, name, { input, timeoutMs, ...changes });
    return await this.endOf(taskId, attempt);
  }

  async endOf(taskId: string, attempt = 1): Promise<Came> {
    const key = keyOf({ taskId, attempt });
    await until(`the end of ${taskId}`, () => {
      this.#readEnds();
      return this.#ends.has(key);
    });
    const end = this.#ends.get(key);
    if (end === undefined) throw new Error('it was there');
    return { ...cameOf(end), taskId };
  }

  /** Looks at each frame once: some attacks make ten thousand of them. */
  #readEnds(): void {
    for (const connection of this.manager.connections) {
      const { received } = connection;
      for (const frame of received.slice(this.#framesRead.get(connection) ?? 0)) {
        if (frame.type === 'task.reject' || frame.type === 'task.result') this.#ends.set(keyOf(frame), frame);
      }
      this.#framesRead.set(connection, received.length);
    }
  }

  /** The code of the last failure that the log tells of under this message, and what it says of it. */
  lastLogged(message: string): Came | undefined {
    const line = this.#logged.findLast((one) => one.includes(`"msg":${JSON.stringify(message)}`));
    if (line === undefined) return undefined;
    const code = z.object({ code: z.union([z.string(), z.number()]) }).safeParse(JSON.parse(line));
    return { code: String(code.data?.code ?? ''), text: line };
  }

  /** What left it since the last call: to the manager, to the log and to the audit log. */
  async newOutputs(): Promise<Output[]> {
    const heard = this.manager.heard.slice(this.#handedOut.heard);
    const logged = this.#logged.slice(this.#handedOut.logged);
    const audit = await this.audit();
    const audited = audit.slice(this.#handedOut.audit);
    this.#handedOut = {
      heard: this.manager.heard.length,
      logged: this.#logged.length,
      audit: audit.length,
    };
    return [
      ...heard.map((text) => ({ where: 'the manager', text }) as const),
      ...logged.map((text) => ({ where: 'the log', text }) as const),
      ...audited.map((text) => ({ where: 'the audit log', text }) as const),
    ];
  }

  /** The lines of its audit log. */
  async audit(): Promise<string[]> {
    const folder = join(this.#options.stateDir, 'audit');
    const files = (await readdir(folder).catch(() => [])).sort((a, b) => a.localeCompare(b));
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    return texts.flatMap((text) => text.split('\n').filter((line) => line !== ''));
  }

  async #end(): Promise<void> {
    await this.#composed?.delegate.stop('the test is over', 0);
    await this.#running;
    await this.#composed?.[Symbol.asyncDispose]();
    this.#composed = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    await this.manager[Symbol.asyncDispose]();
  }
}

function cameOf(frame: TaskReject | TaskResult): Came {
  if (frame.type === 'task.reject') return { code: frame.code, text: frame.message };
  if (frame.outcome !== 'succeeded') {
    const { code, message, hint = '' } = frame.error;
    return { code, text: `${message} ${hint}` };
  }
  const [error] = failedReport.safeParse(frame.output).data?.errors ?? [];
  return { code: error?.code ?? 'succeeded', text: JSON.stringify(frame.output) };
}
