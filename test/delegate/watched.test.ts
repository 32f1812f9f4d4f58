import { expect } from 'chai';
import { sessionEndOf } from '../../src/delegate/connection/connection-watch.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { SESSION_ENDS } from '../../src/observability/metrics.ts';
import { PrometheusMetrics } from '../../src/observability/prometheus.ts';
import { delegateStateSchema, type Counts, type DelegateState } from '../../src/observability/status.ts';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import { REJECT_CODES } from '../../src/protocol/messages.ts';
import { OBSERVED, samplesOf } from '../observability/observed.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { delegatesUnderTest, type UnderTest } from './delegate-under-test.ts';
import { assignOf, REF, resultOf } from './frames.ts';
import { LEASE_MS, Room } from './room.ts';
import { refusing } from './work.ts';

const NAMES = ['test.read', 'test.write', 'test.hung', 'test.echo'];
const CODES = [
  'timeout',
  'cancelled',
  'discarded',
  'not-welcomed',
  'upgrade-refused',
  'invalid-input',
  'lease-lost',
  'interrupted',
];

/** What a real delegate tells of itself, to the real metrics. */
describe('a delegate that is watched', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();
  let metrics: PrometheusMetrics;

  beforeEach(() => {
    metrics = new PrometheusMetrics({
      version: '26.11.90100',
      observe: () => OBSERVED,
      codes: new Set([...CODES, ...REJECT_CODES]),
      taskNames: () => new Set(NAMES),
    });
  });

  const counts = (): Promise<Counts> => metrics.counts();
  const total = async (name: string): Promise<number> => {
    const sample = samplesOf(await metrics.text()).find((one) => one.name === `servicenow_delegate_${name}`);
    return sample?.value ?? 0;
  };
  /** Its state, of which the schema of the status page holds. */
  const stateOf = ({ delegate }: UnderTest): DelegateState => delegateStateSchema.parse(delegate.snapshot());

  it('counts each task once by its end, times it, and times the acknowledgement of its result', async () => {
    const underTest = await start({ metrics });
    const { manager, workshop } = underTest;
    const connection = await manager.nextSession();
    connection.assign({ taskId: 'a', attempt: 1 }, 'test.echo', { input: 'x' });
    await connection.next('task.result');
    connection.assign({ taskId: 'b', attempt: 1 }, 'test.read');
    const failed = await workshop.next();
    failed.fail(new DelegateError('timeout', 'Too slow.', { category: 'timeout' }));
    await connection.next('task.result');
    connection.assign({ taskId: 'c', attempt: 1 }, 'test.read');
    await workshop.next();
    connection.send({ type: 'task.cancel', taskId: 'c', attempt: 1, reason: 'not wanted' });
    await connection.next('task.result');
    await connection.synchronise();
    expect((await counts()).taskResults).to.deep.equal([
      { task: 'test.echo', outcome: 'succeeded', code: 'succeeded', count: 1 },
      { task: 'test.read', outcome: 'failed', code: 'timeout', count: 1 },
      { task: 'test.read', outcome: 'cancelled', code: 'cancelled', count: 1 },
    ]);
    await until('the results are acknowledged', () => stateOf(underTest).outbox.results === 0);
    expect(await total('result_ack_seconds_count')).to.equal(3);
    expect(await total('task_run_seconds_count')).to.equal(1);
  });

  it('counts a task that it gave up for its lease, and one that the manager gave up, by that', async () => {
    const room = new Room({ metrics });
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    transport.arrive({ type: 'accept.ack', ...REF });
    await room.workshop.next();
    transport.arrive(assignOf({ taskId: 't-2', name: 'test.read' }));
    await room.workshop.next();
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [{ taskId: 't-2', attempt: 1 }] });
    await room.clock.settle();
    transport.cut();
    await room.clock.advance(LEASE_MS);
    await room.workload.idle();
    const { leasesLost, taskResults } = await counts();
    expect(leasesLost).to.equal(1);
    expect(taskResults).to.deep.equal([
      { task: 'test.read', outcome: 'discarded', code: 'discarded', count: 1 },
      { task: 'test.write', outcome: 'unknown', code: 'lease-lost', count: 1 },
    ]);
    expect(await total('task_run_seconds_count')).to.equal(1);
  });

  it('counts one that the run before has left behind, whose times nobody knows', async () => {
    const journal = memoryJournal();
    const { delegate } = resultOf();
    const receivedAt = '2026-11-23T13:10:35.000Z';
    await journal.begin({ ref: REF, name: 'test.read', effect: 'reads', receivedAt, delegate });
    await new Room({ metrics, journal }).recovered;
    expect((await counts()).taskResults).to.deep.equal([
      { task: 'test.read', outcome: 'failed', code: 'interrupted', count: 1 },
    ]);
    expect(await total('task_run_seconds_count')).to.equal(0);
  });

  it('counts what it does not take by the reason', async () => {
    const { manager } = await start({ metrics, taskTypes: [refusing('policy')] });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.refusing');
    await connection.next('task.reject');
    connection.assign({ taskId: 't-2', attempt: 1 }, 'test.unknown');
    await connection.next('task.reject');
    expect((await counts()).taskRejects).to.deep.equal([
      { code: 'policy-denied', count: 1 },
      { code: 'unknown-task', count: 1 },
    ]);
    expect((await counts()).taskResults).to.deep.equal([]);
  });

  it('counts sessions and how they ended, and says of the last failure what and when', async () => {
    const clock = new ManualClock();
    const underTest = await start({ metrics, clock, random: () => 0.5 });
    const { manager, delegate } = underTest;
    const connection = await manager.nextSession();
    const { manager: told, phase } = stateOf(underTest);
    expect(told.session).to.include({ ageMs: 0, heartbeatRttMs: null, paused: false });
    expect(told).to.deep.include({ lastFailure: null, nextAttemptAt: null });
    expect(phase.is).to.equal('ready');
    manager.script.upgrade = { status: 502 };
    connection.drop();
    await until('it has noticed', () => !delegate.readiness().ready);
    await clock.advance(10_000);
    await until(
      'an attempt has failed',
      () => stateOf(underTest).manager.lastFailure?.code === 'upgrade-refused',
    );
    const { manager: after } = stateOf(underTest);
    expect(after.session).to.equal(null);
    expect(after.lastFailure?.hint).to.contain('DELEGATE_MANAGER_URL');
    await until('the next attempt is announced', () => stateOf(underTest).manager.nextAttemptAt !== null);
    expect(Date.parse(stateOf(underTest).manager.nextAttemptAt ?? '')).to.be.greaterThan(clock.now());
    const { sessions, sessionEnds, connectFailures } = await counts();
    expect([sessions, sessionEnds]).to.deep.equal([1, [{ reason: 'connection-lost', count: 1 }]]);
    expect(connectFailures.map(({ code }) => code)).to.deep.equal(['upgrade-refused']);
  });

  it('takes a manager that closes as if all were said and done for a failure, and its own goodbye for none', async () => {
    const underTest = await start({ metrics });
    const connection = await underTest.manager.nextSession();
    connection.close(CloseCode.Goodbye, 'bye');
    await underTest.manager.nextSession();
    expect(stateOf(underTest).manager.lastFailure).to.include({
      code: 'session-other',
      message: 'The session ended with 1000: bye.',
    });
    await underTest.delegate.stop('the test is over');
    expect((await counts()).sessionEnds).to.deep.equal([
      { reason: 'left', count: 1 },
      { reason: 'other', count: 1 },
    ]);
    expect(stateOf(underTest).manager.lastFailure?.code).to.equal('session-other');
  });

  it('calls a connection that ends before the welcome not-welcomed', async () => {
    const underTest = await start({ metrics, random: () => 0 }, { welcome: 'never' });
    const connection = await underTest.manager.nextConnection();
    underTest.manager.script.welcome = {};
    connection.close(CloseCode.GoingAway, 'busy with a restart');
    await underTest.manager.nextSession();
    expect((await counts()).connectFailures).to.deep.equal([{ code: 'not-welcomed', count: 1 }]);
    expect(stateOf(underTest).manager.lastFailure).to.deep.include({
      code: 'not-welcomed',
      message: 'The connection ended before the welcome, with 1001: busy with a restart.',
      hint: null,
    });
  });

  it('says what runs, what waits and what it may take', async () => {
    const underTest = await start({ metrics }, { ackResults: false });
    const connection = await underTest.manager.nextSession();
    connection.assign({ taskId: 'done', attempt: 1 }, 'test.echo', { input: 'x' });
    await connection.next('task.result');
    connection.assign({ taskId: 'runs', attempt: 2 }, 'test.read');
    await underTest.workshop.next();
    const { tasks, outbox, enrolment, readiness } = stateOf(underTest);
    expect(tasks).to.deep.include({ capacity: 4, running: 1, credit: 3 });
    expect(tasks.list.map(({ taskId, attempt, name }) => [taskId, attempt, name])).to.deep.equal([
      ['runs', 2, 'test.read'],
    ]);
    expect(outbox).to.include({ results: 1 });
    expect(outbox.bytes).to.be.greaterThan(100);
    expect(outbox.oldestFinishedAt).to.be.a('string');
    expect(enrolment).to.include({ delegateId: 'dlg-1' });
    expect(enrolment.keyId).to.be.a('string');
    expect(readiness).to.include({ ready: true, reason: null });
  });

  it('stays ready while it is paused and while it is full, and says which it is', async () => {
    const underTest = await start({ metrics, capacity: 1 });
    const { delegate, manager, workshop } = underTest;
    const detail = (): string | undefined => stateOf(underTest).readiness.checks.at(-1)?.detail;
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    expect([delegate.readiness().ready, detail()]).to.deep.equal([true, 'every slot is taken']);
    connection.send({ type: 'pause', reason: 'maintenance' });
    await connection.synchronise();
    work.finish();
    await connection.next('task.result');
    expect([delegate.readiness().ready, detail()]).to.deep.equal([
      true,
      'the manager has paused this delegate',
    ]);
    connection.send({ type: 'resume' });
    await connection.synchronise();
    expect([delegate.readiness().ready, detail()]).to.deep.equal([true, undefined]);
  });
});

describe('how a session ended', () => {
  it('has a name for each close code of the protocol, and one for all others', () => {
    for (const code of Object.values(CloseCode).filter((one) => one !== CloseCode.Goodbye)) {
      expect(sessionEndOf(code), String(code)).not.to.equal('other');
    }
    expect([1005, 1006].map(sessionEndOf)).to.deep.equal(['connection-lost', 'connection-lost']);
    for (let code = 1_000; code < 5_000; code += 1) expect(SESSION_ENDS).to.include(sessionEndOf(code));
    expect(sessionEndOf(4_242)).to.equal('other');
  });
});
