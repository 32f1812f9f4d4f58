import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { z } from 'zod';
import { lockText } from '../../src/delegate/state/lock-file.ts';
import { whoAmI } from '../../src/delegate/state/process-facts.ts';
import { startWorld, type World } from '../../src/dev/world.ts';
import { CLI } from '../support/cli.ts';
import { rejectionOf } from '../support/failure.ts';
import { ScriptedManager, type ScriptedConnection } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until, within } from '../support/until.ts';
import { REF } from '../delegate/frames.ts';
import {
  canRun,
  delegateProcesses,
  SlowServiceNow,
  SlowTokenServer,
  type DelegateProcess,
  type ProcessOptions,
} from './one-delegate.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';

const task = z.object({
  taskId: z.string(),
  state: z.string(),
  outcome: z.string().nullable(),
  error: z.object({ code: z.string() }).optional(),
});

/** A test of the connector whose first answer from ServiceNow takes `ms`. */
async function startSlowTask(world: World, ms: number): Promise<string> {
  await world.manager.post('/api/v1/connectors', world.connectors.password, z.unknown());
  await world.serviceNowAdmin.post(
    '/__sim/faults/add',
    { fault: 'stall-headers', ms, times: 1, match: { route: 'table' } },
    z.unknown(),
  );
  const { taskId } = await world.manager.post(
    `/api/v1/connectors/${world.connectors.password.identifier}/test`,
    undefined,
    task,
  );
  await world.delegate.line((line) => line['taskId'] === taskId && line['to'] === 'running');
  return taskId;
}

/** Whether anybody listens there. */
async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The whole world of `npm run demo`: real processes and real signals, what an orchestrator does to a delegate. */
describe('leaving', function () {
  this.timeout(60_000);
  leavesNothingOpen();

  it('SIGTERM lets a running task end, delivers its result and exits 0', async () => {
    const lines: string[] = [];
    await using world = await startWorld({
      cli: [CLI],
      environment: process.env,
      // Each step of a task is logged at this level alone.
      logLevel: 'debug',
      onLine: (name, line) => lines.push(`${name} ${line}`),
    });
    const taskId = await startSlowTask(world, 1_500);
    expect(await world.delegate.stop()).to.equal(0);
    const { outcome } = await world.manager.get(`/api/v1/tasks/${taskId}?wait=1000`, task);
    expect(outcome).to.equal('succeeded');
    expect(lines.some((line) => line.startsWith('delegate ') && line.includes('delegate stopped'))).to.equal(
      true,
    );
  });

  it('a process of the world ends in order when the one that started it is killed', async () => {
    const parent = spawn(process.execPath, [CLI, 'demo', '--verbose'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    parent.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const isOpen = (name: string): boolean => new RegExp(`^\\[${name}\\].*session open`, 'm').test(said);
    await until('everybody is ready', () => isOpen('delegate') && isOpen('old-delegate'), 20_000);
    const folder = /"stateDir":"([^"]+)\/eu-1"/.exec(said)?.[1] ?? '';
    const ports = new Set(
      [...said.matchAll(/http:\/\/127\.0\.0\.1:(\d+)/g)].map((match) => Number(match[1])),
    );
    expect(ports.size).to.be.at.least(6);
    parent.kill('SIGKILL');
    const giveUpAt = performance.now() + 20_000;
    for (const port of ports) {
      while (await answers(port)) expect(performance.now()).to.be.lessThan(giveUpAt);
    }
    await rm(folder, { recursive: true });
  });
});

/** One process beside a manager by hand, so that every frame of its leaving can be looked at. */
describe('a delegate process that is asked to leave', function () {
  this.timeout(60_000);
  const start = delegateProcesses();
  const tempDir = tempDirs();
  let manager: ScriptedManager;
  let serviceNow: SlowServiceNow;

  beforeEach(async () => {
    // Long heartbeats: two that a busy machine leaves unanswered end a session, by a cut and without a close frame.
    manager = await ScriptedManager.start({ welcome: { heartbeatMs: 10_000, leaseMs: 30_000 } });
    serviceNow = await SlowServiceNow.start();
  });

  afterEach(async () => {
    await serviceNow[Symbol.asyncDispose]();
    await manager[Symbol.asyncDispose]();
  });

  leavesNothingOpen();

  async function started(options: Partial<ProcessOptions> = {}): Promise<DelegateProcess> {
    return start({ managerUrl: manager.url, stateDir: await tempDir(), ...options });
  }

  async function session(delegate: DelegateProcess): Promise<ScriptedConnection> {
    await delegate.says('session open');
    return await manager.nextSession();
  }

  /** The draining and everything after it but heartbeats, which come when it is their time. */
  function wayOut(connection: ScriptedConnection): string[] {
    const types = connection.received.map(({ type }) => type);
    const onTheWay = new Set<string>(['heartbeat', 'task.progress']);
    return types.slice(types.indexOf('draining')).filter((type) => !onTheWay.has(type));
  }

  it('idle says goodbye and exits 0, with a visitor of its health endpoints still connected', async function () {
    const delegate = await started();
    const connection = await session(delegate);
    // `fetch` keeps its connection open for the next request.
    expect(await delegate.health()).to.include({ livez: 200, readyz: 200 });
    delegate.kill('SIGTERM');
    expect(await delegate.end()).to.equal(0);
    expect((await connection.closed()).code).to.equal(1000);
    expect(wayOut(connection)).to.deep.equal(['draining', 'goodbye']);
  });

  it('by SIGINT while idle exits 0, too', async () => {
    const delegate = await started();
    await session(delegate);
    delegate.kill('SIGINT');
    expect(await delegate.end()).to.equal(0);
  });

  it('by a second signal ends at once, with the code that says so', async () => {
    const delegate = await started();
    const connection = await session(delegate);
    await serviceNow.begin(connection, REF);
    delegate.kill('SIGTERM');
    await connection.next('draining');
    delegate.kill('SIGTERM');
    // What a shell reports as 143.
    expect(await delegate.end()).to.equal('SIGTERM');
  });

  it('is live and ready until then, and live alone while its manager is gone', async () => {
    const delegate = await started();
    const connection = await session(delegate);
    expect(await delegate.health()).to.deep.equal({ livez: 200, readyz: 200, reason: undefined });
    manager.script.upgrade = { status: 503 };
    connection.drop();
    await delegate.says('trying again later');
    expect(await delegate.health()).to.include({ livez: 200, readyz: 503 });
  });

  it('busy keeps its heartbeats up while it waits, and sends the result before the goodbye', async () => {
    manager.script.welcome = { heartbeatMs: 1_000, leaseMs: 30_000 };
    const delegate = await started();
    const connection = await session(delegate);
    await serviceNow.begin(connection, REF);
    delegate.kill('SIGTERM');
    expect(await connection.next('draining')).to.deep.include({ reason: 'SIGTERM', running: [REF] });
    const beats = connection.all('heartbeat').length;
    while (connection.all('heartbeat').length < beats + 3) await connection.next('heartbeat');
    expect(connection.all('heartbeat').at(-1)).to.deep.include({ running: [REF] });
    serviceNow.answer();
    expect(await delegate.end()).to.equal(0);
    expect((await connection.closed()).code).to.equal(1000);
    expect(wayOut(connection)).to.deep.equal(['draining', 'task.result', 'goodbye']);
  });

  for (const seconds of ['0', '1']) {
    it(`busy for longer than a grace of ${seconds} s reports the task as interrupted, and exits 0`, async () => {
      const delegate = await started({ env: { DELEGATE_SHUTDOWN_GRACE_SECONDS: seconds } });
      const connection = await session(delegate);
      await serviceNow.begin(connection, REF);
      delegate.kill('SIGTERM');
      expect(await delegate.end()).to.equal(0);
      // The last frames may be on the way yet.
      await connection.closed();
      const [result] = connection.all('task.result');
      expect(result).to.include({ ...REF, outcome: 'failed' });
      expect(result).to.have.nested.property('error.code', 'interrupted');
      expect(wayOut(connection)).to.deep.equal(['draining', 'task.result', 'goodbye']);
    });
  }

  it('sees a token exchange through after the goodbye, and has kept the new refresh token when it gives up its folder', async () => {
    const stateDir = await tempDir();
    await using server = await SlowTokenServer.start();
    const delegate = await started({
      stateDir,
      env: {
        DELEGATE_SHUTDOWN_GRACE_SECONDS: '0',
        DELEGATE_SECRET_CLIENT: 'client-for-tests',
        DELEGATE_SECRET_REFRESH_TOKEN: 'first-refresh-token-for-tests',
      },
    });
    const connection = await session(delegate);
    await server.begin(connection, REF);
    delegate.kill('SIGTERM');
    // The goodbye waits for no exchange: this one is not answered yet.
    await connection.closed();
    const end = within('the process to end', delegate.exited, LONGER_THAN_OTHER_WAITS_MS);
    expect(String(await rejectionOf(end))).to.include('in vain');
    expect(existsSync(join(stateDir, 'delegate.lock')), 'it has its folder').to.equal(true);
    server.answer();
    expect(await delegate.end()).to.equal(0);
    expect(await readdir(join(stateDir, 'kept'))).to.have.lengthOf(1);
  });

  it('by its manager and by a signal at once moves, finishes, and exits 0', async () => {
    const delegate = await started();
    const connection = await session(delegate);
    await serviceNow.begin(connection, REF);
    connection.send({ type: 'drain', reason: 'upgrade', reconnectAfterMs: 0 });
    delegate.kill('SIGTERM');
    const next = await manager.nextConnection();
    expect(await next.next('hello')).to.deep.include({ running: [REF] });
    await next.next('draining');
    expect((await connection.closed()).code).to.equal(1000);
    serviceNow.answer();
    expect(await delegate.end()).to.equal(0);
    expect(wayOut(next)).to.deep.equal(['draining', 'task.result', 'goodbye']);
    expect(manager.connections).to.have.lengthOf(2);
  });

  it('but is frozen answers no probe, so that it is restarted; one that thaws in time leaves as if nothing had been', async () => {
    const delegate = await started();
    const connection = await session(delegate);
    const { healthUrl } = await delegate.says('delegate starts');
    delegate.kill('SIGSTOP');
    const probe = fetch(`${String(healthUrl)}/livez`, { signal: AbortSignal.timeout(PROBE_MS) });
    expect(await rejectionOf(probe)).to.include({ name: 'TimeoutError' });
    delegate.kill('SIGTERM');
    delegate.kill('SIGCONT');
    expect(await delegate.end()).to.equal(0);
    await connection.closed();
    expect(wayOut(connection)).to.deep.equal(['draining', 'goodbye']);
  });

  it('before it has reached any manager exits 0', async () => {
    const delegate = await started({ managerUrl: 'http://127.0.0.1:9' });
    await delegate.says('trying again later');
    delegate.kill('SIGTERM');
    expect(await delegate.end()).to.equal(0);
  });

  it('while it waits for the lock of another container exits 0, and leaves that lock alone', async () => {
    const stateDir = await tempDir();
    const lock = join(stateDir, 'delegate.lock');
    const elsewhere = { ...(await whoAmI()), pidNamespace: 'pid:[1]', hostName: 'elsewhere', pid: 7 };
    const text = lockText(elsewhere, '2026-11-01T00:00:00.000Z');
    await writeFile(lock, text);
    const delegate = await started({ stateDir });
    await delegate.says('the state folder is locked; waiting');
    delegate.kill('SIGTERM');
    expect(await delegate.end()).to.equal(0);
    expect(await readFile(lock, 'utf8')).to.equal(text);
  });

  it('on a disk that does not answer ends all the same, and says why', async () => {
    const stateDir = await tempDir();
    const pipe = join(stateDir, 'delegate.lock');
    // Opening it takes as long as nobody writes: a thread hangs, as with a network disk that is gone.
    await promisify(execFile)('mkfifo', [pipe]);
    const delegate = await started({ stateDir, env: { DELEGATE_SHUTDOWN_GRACE_SECONDS: '0' } });
    await delegate.says('delegate starts');
    delegate.kill('SIGTERM');
    await delegate.says('the stop does not end');
    expect(await delegate.end()).to.equal('SIGTERM');
  });

  it('with a result that was not acknowledged exits 0, and the next start sends it', async () => {
    const stateDir = await tempDir();
    manager.script.ackResults = false;
    const delegate = await started({ stateDir });
    const connection = await session(delegate);
    await serviceNow.begin(connection, REF);
    serviceNow.answer();
    const sent = await connection.next('task.result');
    delegate.kill('SIGTERM');
    expect(await connection.next('goodbye')).to.deep.include({ unacknowledged: [REF] });
    expect(await delegate.end()).to.equal(0);
    manager.script.ackResults = true;
    const back = await session(await started({ stateDir }));
    expect(await back.next('hello')).to.deep.include({ unacknowledged: [REF] });
    expect(await back.next('task.result')).to.deep.equal(sent);
    expect(manager.enrolments).to.have.lengthOf(1);
  });

  describe('as process 1 of a container, without a shell', () => {
    before(async function () {
      // Skipped since 2026-11-23 where the tests may not make a PID namespace and mount its /proc: that takes root, or
      // CAP_SYS_ADMIN in a container.
      if (!(await canRun('unshare', [...PID_NAMESPACE, 'true']))) this.skip();
    });

    /** The delegate itself; what was started is the command that made its namespace. */
    async function inside(delegate: DelegateProcess): Promise<number> {
      const text = await readFile(`/proc/${delegate.pid}/task/${delegate.pid}/children`, 'utf8');
      return Number(text.trim());
    }

    it('hears SIGTERM, leaves in order and exits 0', async () => {
      const delegate = await started({ prefix: ['unshare', ...PID_NAMESPACE] });
      const connection = await session(delegate);
      process.kill(await inside(delegate), 'SIGTERM');
      expect(await delegate.end()).to.equal(0);
      await connection.closed();
      expect(wayOut(connection)).to.deep.equal(['draining', 'goodbye']);
    });

    it('ends at once at a second SIGTERM', async () => {
      const delegate = await started({ prefix: ['unshare', ...PID_NAMESPACE] });
      const connection = await session(delegate);
      await serviceNow.begin(connection, REF);
      const pid = await inside(delegate);
      process.kill(pid, 'SIGTERM');
      await connection.next('draining');
      process.kill(pid, 'SIGTERM');
      expect(await delegate.end()).to.equal(143);
    });
  });
});

/** A probe is given a second by default; a process that is stopped does not answer at all. */
const PROBE_MS = 300;
/** Than anything but an exchange that the process waits for after its goodbye. */
const LONGER_THAN_OTHER_WAITS_MS = 3_000;
const PID_NAMESPACE = ['--pid', '--fork', '--kill-child', '--mount-proc'];
