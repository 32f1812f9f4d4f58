import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { z } from 'zod';
import { managersUnderTest } from '../manager/support/manager-under-test.ts';
import { exitOf, type Ending } from '../support/child.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';
import type { Order } from './logger-process.ts';

const LOGGER = fileURLToPath(new URL('logger-process.ts', import.meta.url));
const CLI = fileURLToPath(new URL('../../src/cli/index.ts', import.meta.url));
/** For a process that compiles itself, on two busy cores. Reached only by a test that fails. */
const PROCESS_DEADLINE_MS = 20_000;
/** Of about a kilobyte each: several times what a pipe and the process hold together. */
const MORE_THAN_WAITS = 4_000;

const lineSchema = z.object({ msg: z.string(), n: z.number().optional(), lostLines: z.number().optional() });
type Line = z.infer<typeof lineSchema>;

class LoggingProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<Ending>;

  private constructor(stdout: 'pipe' | number) {
    this.#child = fork(LOGGER, {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', stdout, 'inherit', 'ipc'],
    });
    this.#exited = exitOf(this.#child);
  }

  static async start(stdout: 'pipe' | number): Promise<LoggingProcess> {
    const process = new LoggingProcess(stdout);
    await process.#answer();
    return process;
  }

  /** Resolves when it has done so: its event loop turns. */
  async log(lines: number, end?: Order['end']): Promise<void> {
    const order: Order = { lines, end };
    this.#child.send(order);
    await this.#answer();
  }

  /** Each line that it writes, from now on. */
  async *read(): AsyncGenerator<Line, void, undefined> {
    if (this.#child.stdout === null) throw new TypeError('its standard output is no pipe');
    for await (const line of createInterface(this.#child.stdout)) yield lineSchema.parse(JSON.parse(line));
  }

  /** Nobody will read it any more. */
  async leave(): Promise<void> {
    this.#child.stdout?.destroy();
    await once(this.#child.stdout ?? this.#child, 'close');
  }

  async ended(): Promise<Ending> {
    return await within('the process to end', this.#exited, PROCESS_DEADLINE_MS);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #answer(): Promise<void> {
    await within('an answer of the process', once(this.#child, 'message'), PROCESS_DEADLINE_MS);
  }
}

describe('a log on standard output', function () {
  this.timeout(2 * PROCESS_DEADLINE_MS);
  const started: LoggingProcess[] = [];
  const opened: number[] = [];
  const start = async (stdout: 'pipe' | number = 'pipe'): Promise<LoggingProcess> => {
    const process = await LoggingProcess.start(stdout);
    started.push(process);
    return process;
  };
  afterEach(async () => {
    for (const process of started.splice(0)) await process.end();
    for (const descriptor of opened.splice(0)) closeSync(descriptor);
  });
  const startManager = managersUnderTest();
  const stateDir = tempDirs();
  leavesNothingOpen();

  for (const [end, lastWords, code] of [
    ['exit', 'stopped', 0],
    ['throw', 'unexpected', 1],
  ] as const) {
    it(`has every line of a process that ends at once, and its last words: ${lastWords}`, async () => {
      const process = await start();
      await process.log(50, end);
      const lines: Line[] = [];
      for await (const line of process.read()) lines.push(line);
      expect(lines).to.have.length(51);
      expect(lines.at(-1)).to.include({ msg: lastWords });
      expect(await process.ended()).to.equal(code);
    });
  }

  it('whose reader stops does not stop the process; when it reads again, it learns how much it missed', async () => {
    const process = await start();
    await process.log(MORE_THAN_WAITS);
    await process.log(1);
    const said = MORE_THAN_WAITS + 1;
    const seen: Line[] = [];
    for await (const line of process.read()) {
      seen.push(line);
      if (line.lostLines !== undefined) await process.log(1, 'exit');
    }
    const gap = seen.findIndex(({ lostLines }) => lostLines !== undefined);
    expect(gap).to.be.within(900, said - 1);
    expect(seen[gap]).to.deep.equal({
      msg: 'log lines were lost: the output took none',
      lostLines: said - gap,
    });
    expect(seen.slice(0, gap).map(({ n }) => n)).to.deep.equal(Array.from({ length: gap }, (_, n) => n));
    expect(seen.slice(gap + 1)).to.deep.equal([{ msg: 'line', n: said }, { msg: 'stopped' }]);
    expect(await process.ended()).to.equal(0);
  });

  it('whose reader is gone does not end the process', async () => {
    const process = await start();
    await process.leave();
    await process.log(50);
    await process.log(50, 'exit');
    expect(await process.ended()).to.equal(0);
  });

  if (process.platform === 'linux') {
    const openFull = (): number => {
      const descriptor = openSync('/dev/full', 'w');
      opened.push(descriptor);
      return descriptor;
    };

    it('on a full disk does not end the process', async () => {
      const process = await start(openFull());
      await process.log(MORE_THAN_WAITS);
      await process.log(1, 'exit');
      expect(await process.ended()).to.equal(0);
    });

    it('on a full disk leaves the exit code of a failure what it is', async () => {
      const process = await start(openFull());
      await process.log(1, 'throw');
      expect(await process.ended()).to.equal(1);
    });

    it('on a full disk does not keep a delegate from its manager, nor from leaving in order', async () => {
      const { manager, seen } = await startManager();
      const delegate = spawn(process.execPath, ['--import', 'tsx', CLI, 'run'], {
        env: {
          PATH: process.env['PATH'] ?? '',
          DELEGATE_MANAGER_URL: manager.url,
          DELEGATE_ENROLMENT_TOKEN: manager.createEnrolmentToken().value.reveal(),
          DELEGATE_NAME: 'eu-1',
          DELEGATE_STATE_DIR: await stateDir(),
          DELEGATE_HTTP_PORT: '0',
        },
        stdio: ['ignore', openFull(), 'inherit'],
      });
      const exited = exitOf(delegate);
      const session = seen((event) => event.type === 'session.opened' || undefined);
      await within('the delegate at its manager', Promise.race([session, exited]), PROCESS_DEADLINE_MS);
      delegate.kill('SIGTERM');
      expect(await within('the delegate to leave', exited, PROCESS_DEADLINE_MS)).to.equal(0);
      const closed = await seen((event) => (event.type === 'session.closed' ? event.code : undefined));
      expect(closed).to.equal(1_000);
    });
  }
});
