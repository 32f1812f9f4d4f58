import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { deferred } from '../../src/kit/flow.ts';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { exitOf, type Ending } from '../support/child.ts';
import { CLI } from '../support/cli.ts';
import { listenOnLoopback } from '../support/listen.ts';
import type { ScriptedConnection } from '../support/scripted-manager.ts';
import { within } from '../support/until.ts';

/** The built program as a process, beside a manager in the hands of the test, and a ServiceNow that can be slow. */

/** For a process to start on two busy cores, and to wait for a lock before. Reached only by a test that fails. */
const PROCESS_DEADLINE_MS = 20_000;

const lineSchema = z.looseObject({ msg: z.string().optional() });
type LogLine = z.infer<typeof lineSchema>;

export interface ProcessOptions {
  readonly managerUrl: string;
  readonly stateDir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the one behind it: another namespace, say. */
  readonly prefix?: readonly string[];
  /** Another form of the program than the built one. */
  readonly program?: string;
}

export class DelegateProcess {
  readonly #child: ChildProcess;
  readonly #said = new EventEmitter<{ line: [LogLine] }>();
  readonly lines: LogLine[] = [];
  /** What it wrote, whatever it is. */
  text = '';
  #hasExited = false;
  readonly exited: Promise<Ending>;

  constructor({ managerUrl, stateDir, env = {}, prefix = [], program = CLI }: ProcessOptions) {
    const [command, ...args] = [...prefix, process.execPath, program, 'run'];
    this.#child = spawn(command, args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        NODE_V8_COVERAGE: process.env['NODE_V8_COVERAGE'] ?? '',
        DELEGATE_MANAGER_URL: managerUrl,
        DELEGATE_ENROLMENT_TOKEN: 'enrolment-token-for-tests',
        DELEGATE_NAME: 'eu-1',
        DELEGATE_STATE_DIR: stateDir,
        DELEGATE_HTTP_PORT: '0',
        DELEGATE_ALLOW_LOOPBACK: 'true',
        DELEGATE_SECRET_SNOW_PASSWORD: 'password-for-tests',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
    this.exited = exitOf(this.#child).finally(() => {
      this.#hasExited = true;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Rejects if it does not end. */
  async end(): Promise<Ending> {
    return await within(`the process to end; it wrote:\n${this.text}`, this.exited, PROCESS_DEADLINE_MS);
  }

  /** The first line, past or to come, whose message begins so. */
  async says(message: string): Promise<LogLine> {
    const saysIt = ({ msg }: LogLine): boolean => msg?.startsWith(message) === true;
    const past = this.lines.find(saysIt);
    if (past !== undefined) return past;
    // Not by turning in a loop: the process needs the core on which this one would turn.
    const said = deferred<LogLine>();
    const onLine = (line: LogLine): void => {
      if (saysIt(line)) said.resolve(line);
    };
    this.#said.on('line', onLine);
    void this.exited.then(() => said.reject(new Error(`it ended without "${message}":\n${this.text}`)));
    try {
      return await within(`"${message}"`, said.promise, PROCESS_DEADLINE_MS);
    } finally {
      this.#said.off('line', onLine);
    }
  }

  /** The state of its health endpoints. */
  async health(): Promise<{ livez: number; readyz: number; reason: string | undefined }> {
    const { healthUrl } = z.looseObject({ healthUrl: z.string() }).parse(await this.says('delegate starts'));
    const livez = await fetch(`${healthUrl}/livez`);
    await livez.arrayBuffer();
    const readyz = await fetch(`${healthUrl}/readyz`);
    const { reason } = z.looseObject({ reason: z.string().optional() }).parse(await readyz.json());
    return { livez: livez.status, readyz: readyz.status, reason };
  }

  #take(text: string): void {
    this.text += `${text}\n`;
    if (!text.startsWith('{')) return;
    const line = lineSchema.parse(JSON.parse(text));
    this.lines.push(line);
    this.#said.emit('line', line);
  }
}

/** Processes of one test file, each killed after its test if it still runs. */
export function delegateProcesses(): (options: ProcessOptions) => DelegateProcess {
  const started: DelegateProcess[] = [];
  afterEach(async () => {
    for (const one of started.splice(0)) {
      if (!one.hasExited) one.kill('SIGKILL');
      await one.exited;
    }
  });
  return (options) => {
    const delegate = new DelegateProcess(options);
    started.push(delegate);
    return delegate;
  };
}

/** A server in the place of ServiceNow that answers when the test says so. */
export class SlowServiceNow implements AsyncDisposable {
  readonly #server: Server = createServer((_request, response) => this.#held.push(response));
  readonly #held: ServerResponse[] = [];
  url = '';

  static async start(): Promise<SlowServiceNow> {
    const serviceNow = new SlowServiceNow();
    serviceNow.url = `http://127.0.0.1:${await listenOnLoopback(serviceNow.#server)}`;
    return serviceNow;
  }

  /** A test of the connector to this ServiceNow begins; it lasts until an answer. */
  async begin(connection: ScriptedConnection, ref: TaskRef, username = 'svc_deploy'): Promise<void> {
    const asked = once(this.#server, 'request');
    this.assign(connection, ref, username);
    await within('ServiceNow to be asked', asked, PROCESS_DEADLINE_MS);
  }

  assign(connection: ScriptedConnection, ref: TaskRef, username = 'svc_deploy'): void {
    const auth = { type: 'UsernamePassword', spec: { username, passwordRef: 'env:SNOW_PASSWORD' } };
    const spec = { serviceNowUrl: this.url, auth };
    const connector = { name: 'test', identifier: 'test', type: 'ServiceNow', spec };
    connection.assign(ref, 'servicenow.connector.validate', { input: { connector } });
  }

  /** Answers everything so far, in a way that ends the test of the connector. */
  answer(): void {
    for (const response of this.#held.splice(0)) {
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"User Not Authenticated","detail":""},"status":"failure"}');
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** A token server that answers when the test says so, and replaces the refresh token with each answer. */
export class SlowTokenServer implements AsyncDisposable {
  readonly #server: Server = createServer((request, response) => {
    request.resume();
    this.#held.push(response);
  });
  readonly #held: ServerResponse[] = [];
  url = '';

  static async start(): Promise<SlowTokenServer> {
    const server = new SlowTokenServer();
    server.url = `http://127.0.0.1:${await listenOnLoopback(server.#server)}`;
    return server;
  }

  /** A test of a connector begins; resolves when its exchange is under way. */
  async begin(connection: ScriptedConnection, ref: TaskRef): Promise<void> {
    const asked = once(this.#server, 'request');
    const auth = {
      type: 'RefreshTokenGrantType',
      spec: {
        tokenUrl: `${this.url}/token`,
        clientIdRef: 'env:CLIENT',
        refreshTokenRef: 'env:REFRESH_TOKEN',
      },
    };
    const spec = { serviceNowUrl: this.url, auth };
    const connector = { name: 'test', identifier: 'test', type: 'ServiceNow', spec };
    connection.assign(ref, 'servicenow.connector.validate', { input: { connector } });
    await within('the token server to be asked', asked, PROCESS_DEADLINE_MS);
  }

  /** Answers everything so far. */
  answer(): void {
    for (const response of this.#held.splice(0)) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(ROTATED));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

const ROTATED = {
  access_token: 'access-token-for-tests',
  refresh_token: 'second-refresh-token-for-tests',
  token_type: 'Bearer',
  expires_in: 1_800,
};

/** Whether this machine lets its tests do that. */
export async function canRun(command: string, args: readonly string[]): Promise<boolean> {
  const child = spawn(command, args, { stdio: 'ignore' });
  return await new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}
