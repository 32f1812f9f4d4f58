import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEV_USER } from '../../../src/dev/connectors.ts';
import { createDevelopmentCertificate } from '../../../src/dev/fake-identity/index.ts';
import {
  PASSWORDS,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { z } from 'zod';
import { deferred, type Deferred } from '../../../src/kit/flow.ts';
import { Secret } from '../../../src/kit/secret.ts';
import { systemClock } from '../../../src/kit/time.ts';
import { startManager, type Manager } from '../../../src/manager/manager.ts';
import { exitOf, type Ending } from '../../support/child.ts';
import { FakeVault } from '../../support/fake-vault.ts';
import { within } from '../../support/until.ts';
import { ROOT } from './statements.ts';

/** What a reader of the documents has before them: a shell, the files that the text speaks of, a manager, a ServiceNow. */

const API_TOKEN = 'api-token-of-the-sandbox';
const VAULT_TOKEN = 'hvs.token-of-the-sandbox';
/** Reached only by a command that hangs. */
const COMMAND_ENDS_WITHIN_MS = 60_000;

const signingKeysSchema = z.object({ signingKeys: z.array(z.object({ kid: z.string() })) });

export interface Ran {
  readonly code: Ending;
  readonly output: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** For what does not end by itself: when this is printed, it is asked to stop. */
  readonly until?: RegExp;
}

/** A command that runs, with all that it has started. */
export class Running {
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<Ending>;
  #output = '';
  #waiting: { what: RegExp; said: Deferred<void> } | undefined;

  constructor(
    command: string,
    given: { script: string; folder: string; env: Readonly<Record<string, string>>; input: string },
  ) {
    this.#command = command;
    const child = spawn('bash', ['--norc', '-uo', 'pipefail', '-c', given.script], {
      cwd: given.folder,
      env: given.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that whatever the shell has started can be ended with it.
      detached: true,
    });
    this.#child = child;
    this.#ended = exitOf(child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    // One that does not read its input may be gone before it is written.
    child.stdin.on('error', () => {});
    child.stdin.end(given.input);
  }

  /** Resolves when its output has it; rejects if it ends before, or never says so. */
  async says(what: RegExp): Promise<void> {
    const said = deferred<void>();
    this.#waiting = { what, said };
    this.#look();
    void this.#ended.then((code) =>
      said.reject(new Error(`${this.#command}: ended by itself with ${code}:\n${this.#output}`)),
    );
    await this.#within(`${String(what)} from`, said.promise);
  }

  async ended(): Promise<Ran> {
    const code = await this.#within('the end of', this.#ended);
    return { code, output: this.#output };
  }

  async stop(): Promise<Ran> {
    this.#signal('SIGTERM');
    return await this.ended();
  }

  async #within<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await within(`${what} ${this.#command}`, work, COMMAND_ENDS_WITHIN_MS);
    } catch (thrown) {
      this.#signal('SIGKILL');
      await this.#ended;
      throw thrown;
    }
  }

  #signal(name: NodeJS.Signals): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, name);
  }

  #take(text: string): void {
    this.#output += text;
    this.#look();
  }

  #look(): void {
    if (this.#waiting?.what.test(this.#output) === true) this.#waiting.said.resolve();
  }
}

export class Sandbox implements AsyncDisposable {
  readonly serviceNow: FakeServiceNow;
  readonly manager: Manager;
  readonly #vault: FakeVault;
  readonly #folder: string;

  private constructor(folder: string, serviceNow: FakeServiceNow, manager: Manager, vault: FakeVault) {
    this.#folder = folder;
    this.serviceNow = serviceNow;
    this.manager = manager;
    this.#vault = vault;
  }

  static async open(): Promise<Sandbox> {
    const folder = await mkdtemp(join(tmpdir(), 'delegate-docs-'));
    const vault = await FakeVault.start({ clock: systemClock });
    vault.issue(VAULT_TOKEN);
    vault.mount('kv', 2);
    vault.put('kv', 'servicenow', { password: PASSWORDS[DEV_USER] });
    const manager = await startManager({
      apiToken: new Secret(API_TOKEN),
      signTasks: true,
      minRetryIntervalMs: 1_000,
    });
    const sandbox = new Sandbox(folder, await startFakeServiceNow(), manager, vault);
    await sandbox.#furnish();
    return sandbox;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.close();
    await this.serviceNow.close();
    await this.#vault[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }

  path(...parts: string[]): string {
    return join(this.#folder, ...parts);
  }

  /** What a command finds in its environment, beside what its own line sets. */
  get env(): Record<string, string> {
    return {
      PATH: `${this.path('bin')}:${process.env['PATH'] ?? ''}`,
      HOME: this.#folder,
      DELEGATE_ALLOW_LOOPBACK: 'true',
      DELEGATE_CONFIG: this.path('delegate.yaml'),
      DELEGATE_HTTP_PORT: '0',
      DELEGATE_MANAGER_URL: this.manager.publicUrl,
      DELEGATE_SECRETS_DIR: this.path('secrets'),
      DELEGATE_SECRET_SNOW_PASSWORD: PASSWORDS[DEV_USER],
      DELEGATE_STATE_DIR: this.path('var/lib/servicenow-delegate'),
      DELEGATE_VAULT_ADDRESS: this.#vault.address,
      DELEGATE_VAULT_TOKEN_FILE: this.path('run/secrets/vault-token'),
      MANAGER_API_TOKEN: API_TOKEN,
      MANAGER_HTTP_PORT: '0',
      ADMIN: this.serviceNow.adminUrl,
      CHANGE: SEED.changes.implement,
    };
  }

  /** The text with this sandbox's addresses and folders in the place of the example's. */
  here(text: string): string {
    return text
      .replaceAll('https://manager.example.com', this.manager.publicUrl)
      .replaceAll('http://127.0.0.1:8081', this.manager.publicUrl)
      .replaceAll('https://example.service-now.com', this.serviceNow.url)
      .replaceAll('[example.service-now.com]', `[${this.serviceNow.url}]`)
      .replaceAll(/(^|[\s=:"'<])\/(etc|run|var\/lib|var\/log)\//g, `$1${this.#folder}/$2/`);
  }

  /** Runs what a reader would type, in the shell that they would type it into. */
  async run(command: string, { until, ...options }: RunOptions = {}): Promise<Ran> {
    const running = this.start(command, options);
    if (until !== undefined) {
      await running.says(until);
      return await running.stop();
    }
    return await running.ended();
  }

  /** The same, left running. Whoever starts it ends it. */
  start(command: string, { env = {}, input = '' }: Omit<RunOptions, 'until'> = {}): Running {
    return new Running(command, {
      script: this.here(command),
      folder: this.#folder,
      env: { ...this.env, ...env },
      input,
    });
  }

  async #furnish(): Promise<void> {
    const folders = [
      'bin',
      'run/secrets',
      'run/tls',
      'etc/servicenow-delegate',
      'var/lib',
      'var/log',
      'secrets/oidc',
    ];
    for (const folder of folders) await mkdir(this.path(folder), { recursive: true });
    const program = `exec ${process.execPath} ${join(ROOT, 'dist/cli/index.js')} "$@"`;
    const shims = {
      'servicenow-delegate': program,
      // What runs in a container runs here: the words before its command are the engine's own.
      docker: `[ "$1" = exec ] || exit 64\nshift\nwhile [ "\${1#-}" != "$1" ]; do shift; done\nshift\nexec "$@"`,
      kubectl: `[ "$1" = exec ] || exit 64\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"`,
      // Pages where there is a terminal.
      less: 'exec cat',
      './deploy.sh': 'echo deployed',
    };
    for (const [name, text] of Object.entries(shims)) {
      const path = name.startsWith('./') ? this.path(name) : this.path('bin', name);
      await writeFile(path, `#!/bin/sh\n${text}\n`);
      await chmod(path, 0o755);
    }
    for (const folder of ['dist', 'src', 'node_modules', 'package.json', 'config']) {
      await symlink(join(ROOT, folder), this.path(folder));
    }
    await cp(join(ROOT, 'examples'), this.path('examples'), { recursive: true });
    await this.#write();
  }

  async #write(): Promise<void> {
    const example = async (name: string): Promise<string> =>
      this.here(await readFile(join(ROOT, 'examples', name), 'utf8'));
    const connector = await example('connector-password.yaml');
    const approval = await example('approval.yaml');
    const policy = await example('policy.yaml');
    const auth = { type: 'UsernamePassword', spec: { username: DEV_USER, passwordRef: 'env:SNOW_PASSWORD' } };
    const spec = { serviceNowUrl: this.serviceNow.url, auth };
    const task = {
      name: 'servicenow.connector.validate',
      input: { connector: { name: 'ServiceNow', identifier: 'servicenow_prod', type: 'ServiceNow', spec } },
    };
    const certificate = await createDevelopmentCertificate({ commonName: 'sandbox' });
    const files: Readonly<Record<string, string>> = {
      'connector.yaml': connector,
      'examples/connector-password.yaml': connector,
      'approval.yaml': approval.replace('./connector-password.yaml', './connector.yaml'),
      'examples/approval.yaml': approval,
      'policy.yaml': policy,
      'etc/servicenow-delegate/policy.yaml': policy,
      'etc/servicenow-delegate/ca.pem': certificate.certificatePem,
      'run/tls/tls.crt': certificate.certificatePem,
      'run/tls/tls.key': certificate.pkcs8Pem,
      'var/log/servicenow-delegate.log': '{"level":"info","msg":"delegate starts"}\n',
      'run/tls/passphrase': 'passphrase\n',
      'run/secrets/proxy': 'user:password\n',
      'run/secrets/vault-token': VAULT_TOKEN,
      'run/secrets/enrolment-token': this.enrolmentToken(),
      'run/secrets/more': this.enrolmentToken(),
      'enrolment-token': this.enrolmentToken(),
      'delegate.yaml': JSON.stringify({ secretNames: { 'account.snow_password': 'env:SNOW_PASSWORD' } }),
      'task.json': JSON.stringify(task),
      'secrets/oidc/refresh-token': 'refresh-token-of-the-sandbox',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(this.path(name), text, { mode: 0o600 });
  }

  /** The record that the audit log of the sandbox's delegate ends with, as `--head` takes it. */
  async auditHead(): Promise<string> {
    const path = this.path('var/lib/servicenow-delegate/audit/audit-0000000001.ndjson');
    const last = (await readFile(path, 'utf8')).trimEnd().split('\n').at(-1) ?? '';
    const { seq, hash } = z.object({ seq: z.number(), hash: z.string() }).parse(JSON.parse(last));
    return `${seq}:${hash}`;
  }

  /** The key that tasks were signed with first. */
  async oldSigningKey(): Promise<string> {
    const response = await fetch(`${this.manager.url}/api/v1/task-signing-keys`, {
      headers: { authorization: `Bearer ${API_TOKEN}` },
    });
    const [oldest] = signingKeysSchema.parse(await response.json()).signingKeys;
    return oldest?.kid ?? '';
  }

  /** One that enrols one delegate. */
  enrolmentToken(): string {
    return this.manager.createEnrolmentToken({ label: 'sandbox' }).value.reveal();
  }
}
