import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { z } from 'zod';
import { statusSchema, type Status } from '../../src/observability/status.ts';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import { metricsIn, samplesOf, type Sample } from '../observability/observed.ts';
import { exitOf } from '../support/child.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { ScriptedManager } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { within } from '../support/until.ts';
import { delegateProcesses, SlowServiceNow, type DelegateProcess } from './one-delegate.ts';

const WATCHED = fileURLToPath(new URL('watched-process.ts', import.meta.url));
/** As a probe of Kubernetes has it by default. */
const PROBE_TIMEOUT_MS = 1_000;
const DEADLINE_MS = 20_000;
const ASK_AGAIN_MS = 50;

const REF = { taskId: 't-1', attempt: 1 };

/** No connection is kept for another request. */
const ONCE = { connection: 'close' };

/** As a probe does; undefined without an answer in time. */
async function probe(url: string): Promise<number | undefined> {
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await fetch(url, { signal, headers: ONCE });
    await response.arrayBuffer();
    return response.status;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'TimeoutError') return undefined;
    throw thrown;
  }
}

/** Asks every so often, so that the process has the core, until the answer does. */
async function eventually<T>(what: string, ask: () => Promise<T>, does: (answer: T) => boolean): Promise<T> {
  const giveUp = AbortSignal.timeout(DEADLINE_MS);
  for (;;) {
    const answer = await ask();
    if (does(answer)) return answer;
    if (giveUp.aborted) throw new Error(`in vain waited for ${what}: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, ASK_AGAIN_MS);
    });
  }
}

describe('the pages of a delegate in a process of its own', function () {
  this.timeout(60_000);
  const start = delegateProcesses();
  let manager: ScriptedManager;
  let serviceNow: SlowServiceNow;
  let delegate: DelegateProcess;
  let url: string;

  beforeEach(async () => {
    manager = await ScriptedManager.start();
    serviceNow = await SlowServiceNow.start();
    delegate = start({ managerUrl: manager.url, stateDir: await tempDir() });
    const line = await delegate.says('delegate starts');
    url = z.looseObject({ healthUrl: z.string() }).parse(line).healthUrl;
  });
  afterEach(async () => {
    delegate.kill('SIGKILL');
    await delegate.exited;
    await manager[Symbol.asyncDispose]();
    await serviceNow[Symbol.asyncDispose]();
  });
  // After the end of the delegate, which writes into it.
  const tempDir = tempDirs();
  leavesNothingOpen();

  const text = async (path: string): Promise<string> =>
    await (await fetch(url + path, { headers: ONCE })).text();
  const status = async (): Promise<Status> => statusSchema.parse(JSON.parse(await text('/status.json')));
  const samples = async (): Promise<Sample[]> => samplesOf(await text('/metrics'));
  const valueIn = (all: readonly Sample[], name: string, labels: Sample['labels'] = {}): number | undefined =>
    all.find(
      (one) =>
        one.name === `servicenow_delegate_${name}` &&
        Object.entries(labels).every(([label, word]) => one.labels[label] === word),
    )?.value;

  it('show success, failure, rejection and an outage of the manager, and neither secret nor ticket', async () => {
    const connection = await manager.nextSession();
    // ServiceNow refuses the password: the test of the connector succeeds in saying so.
    await serviceNow.begin(connection, REF);
    serviceNow.answer();
    await connection.next('task.result');
    connection.assign({ taskId: 't-2', attempt: 1 }, 'servicenow.approval.check', { input: {} });
    await connection.next('task.reject');
    connection.assign({ taskId: 't-3', attempt: 1 }, 'servicenow.unheard-of');
    await connection.next('task.reject');
    await connection.synchronise();

    const task = 'servicenow.connector.validate';
    const working = await samples();
    expect(valueIn(working, 'ready')).to.equal(1);
    expect(valueIn(working, 'sessions_total')).to.equal(1);
    expect(valueIn(working, 'task_results_total', { task, outcome: 'succeeded' })).to.equal(1);
    expect(valueIn(working, 'task_run_seconds_count', { task })).to.equal(1);
    expect(valueIn(working, 'task_rejects_total', { code: 'invalid-input' })).to.equal(1);
    // This one, and the probe of `synchronise`.
    expect(valueIn(working, 'task_rejects_total', { code: 'unknown-task' })).to.be.greaterThan(0);
    expect(valueIn(working, 'instance_request_seconds_count', { status: '401' })).to.be.greaterThan(0);
    expect(valueIn(working, 'journal_write_seconds_count')).to.be.greaterThan(0);
    expect(valueIn(working, 'state_disk_free_bytes')).to.be.greaterThan(0);
    expect((await status()).counts.taskResults).to.deep.equal([
      { task, outcome: 'succeeded', code: 'succeeded', count: 1 },
    ]);

    manager.script.upgrade = { status: 503 };
    connection.close(CloseCode.GoingAway, 'the manager leaves');
    const away = await eventually('the outage', samples, (all) => valueIn(all, 'ready') === 0);
    expect(valueIn(away, 'session_ends_total', { reason: 'manager-leaving' })).to.equal(1);
    expect(valueIn(away, 'connection_phase', { phase: 'connecting' })).to.equal(1);
    await eventually(
      'a failure to connect',
      samples,
      (all) => (valueIn(all, 'connect_failures_total', { code: 'upgrade-refused' }) ?? 0) > 0,
    );
    expect(await probe(`${url}/livez`)).to.equal(200);
    expect(await probe(`${url}/readyz`)).to.equal(503);
    const told = await status();
    expect(told.readiness).to.include({ ready: false, reason: 'no session with the manager' });
    expect(told.manager.lastFailure?.code).to.equal('upgrade-refused');

    const pages = (await Promise.all(['/metrics', '/status.json'].map(text))).join('');
    expect(pages).not.to.contain('password-for-tests');
    expect(pages).not.to.contain('enrolment-token-for-tests');
    expect(await text('/metrics')).not.to.match(/127\.0\.0\.1|svc_deploy|SNOW_PASSWORD|t-1/);

    manager.script.upgrade = 'accept';
    await manager.nextSession();
    await eventually(
      'ready again',
      () => probe(`${url}/readyz`),
      (answer) => answer === 200,
    );
    expect(delegate.hasExited).to.equal(false);
  });

  it('have every metric from the first scrape on', async () => {
    const types = metricsIn(await text('/metrics'));
    expect(types.size).to.be.greaterThan(35);
    for (const name of ['process_cpu_seconds_total', 'nodejs_heap_size_used_bytes', 'process_open_fds']) {
      expect(types.has(name), name).to.equal(true);
    }
  });

  it('are OpenMetrics for a scraper that asks for it', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5';
    const response = await fetch(`${url}/metrics`, { headers: { ...ONCE, accept } });
    expect(response.headers.get('content-type')).to.match(/^application\/openmetrics-text; version=1\.0\.0/);
    expect((await response.text()).endsWith('# EOF\n')).to.equal(true);
    const plain = await fetch(`${url}/metrics`, { headers: ONCE });
    expect(plain.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    expect(await plain.text()).to.contain('# TYPE servicenow_delegate_sessions_total counter');
  });

  it('give a probe no answer while the process is frozen, and live again when it goes on', async () => {
    await manager.nextSession();
    expect(await probe(`${url}/livez`)).to.equal(200);
    delegate.kill('SIGSTOP');
    expect(await probe(`${url}/livez`)).to.equal(undefined);
    expect(await probe(`${url}/livez`)).to.equal(undefined);
    delegate.kill('SIGCONT');
    await eventually(
      'an answer',
      () => probe(`${url}/livez`),
      (answer) => answer === 200,
    );
    expect(delegate.hasExited).to.equal(false);
  });
});

describe('an event loop that is blocked most of the time', function () {
  this.timeout(60_000);
  let child: ChildProcess;
  let ended: Promise<unknown>;
  let livez: string;

  beforeEach(async () => {
    child = fork(WATCHED, { execArgv: ['--import', 'tsx'] });
    ended = exitOf(child);
    const [said]: unknown[] = await within('the process to serve', once(child, 'message'), DEADLINE_MS);
    livez = `${z.object({ url: z.string() }).parse(said).url}/livez`;
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  leavesNothingOpen();

  it('answers now and then, and says 503; and 200 when it is over', async () => {
    expect(await probe(livez)).to.equal(200);
    child.send('block');
    await eventually(
      '503',
      () => probe(livez),
      (answer) => answer === 503,
    );
    child.send('rest');
    await eventually(
      '200',
      () => probe(livez),
      (answer) => answer === 200,
    );
  });
});
