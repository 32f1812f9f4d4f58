import { expect } from 'chai';
import { ManualClock } from '../support/manual-clock.ts';
import { refOf, type ScriptedConnection } from '../support/scripted-manager.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { turn, until } from '../support/until.ts';
import { delegatesUnderTest, type UnderTest } from './delegate-under-test.ts';
import { REF } from './frames.ts';
import { redialling, waits } from './wire.ts';

/** Over real sockets: what becomes of a task, whatever becomes of the connection. */

const second = { taskId: REF.taskId, attempt: 2 };

describe('the way of a task', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  function taskFrames(connection: ScriptedConnection): string[] {
    return connection.received.flatMap((frame) =>
      'taskId' in frame && frame.taskId !== 'synchronise' ? [`${frame.type} #${frame.attempt}`] : [],
    );
  }

  /** Of the manager by hand, unless a test wants another. */
  const LEASE_MS = 30_000;

  /** The connection is cut, and the manager away until the lease is over and for as long again. */
  async function losesItsLease(underTest: UnderTest, clock: ManualClock): Promise<void> {
    const { manager } = underTest;
    manager.script.upgrade = { status: 503, headers: { 'retry-after': String((2 * LEASE_MS) / 1_000) } };
    manager.connections.at(-1)?.drop();
    await redialling(underTest, clock)();
    await until('it is told to wait', () => waits(underTest).at(-1) === 2 * LEASE_MS);
    await clock.advance(LEASE_MS);
    manager.script.upgrade = 'accept';
  }

  it('goes from assign to acknowledged result', async () => {
    const { manager, delegate } = await start();
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.echo', { input: { n: 1 } });
    expect(await connection.next('task.accept')).to.deep.equal({ type: 'task.accept', ...REF });
    const result = await connection.next('task.result');
    expect(result).to.deep.include({ ...REF, outcome: 'succeeded', output: { n: 1 } });
    expect(result.delegate).to.include({ id: 'dlg-1', name: 'eu-1', version: '26.11.90100' });
    expect((await connection.next('credit')).granted).to.equal(5);
    expect(delegate.readiness()).to.include({ ready: true, phase: 'ready' });
  });

  it('keeps its result across five cuts, and delivers it once connected', async () => {
    const { manager } = await start({}, { ackResults: false });
    let connection = await manager.nextSession();
    connection.assign(REF, 'test.echo', { input: 'kept' });
    for (let cut = 0; cut < 5; cut += 1) {
      expect(await connection.next('task.result')).to.include({ output: 'kept' });
      connection.drop();
      connection = await manager.nextConnection();
      expect((await connection.next('hello')).unacknowledged).to.deep.equal([REF]);
    }
    connection.send({ type: 'result.ack', ...refOf(await connection.next('task.result')) });
    await connection.synchronise();
    connection.drop();
    expect((await (await manager.nextConnection()).next('hello')).unacknowledged).to.deep.equal([]);
  });

  it('waits out a manager that is away while it ends, and keeps the order of results', async () => {
    const { manager, workshop } = await start();
    const connection = await manager.nextSession();
    const works = [];
    for (const taskId of ['t-1', 't-2', 't-3']) {
      connection.assign({ taskId, attempt: 1 }, 'test.read');
      works.push(await workshop.next());
    }
    manager.script.upgrade = { status: 502 };
    connection.drop();
    for (const work of works.toReversed()) {
      work.finish();
      await turn();
    }
    manager.script.upgrade = 'accept';
    const back = await manager.nextSession();
    expect(back.all('task.result').map(({ taskId }) => taskId)).to.deep.equal(['t-3', 't-2', 't-1']);
  });

  it('is not begun again by the same assign: running, finished or acknowledged', async () => {
    const { manager, workshop } = await start({}, { ackResults: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    connection.assign(REF, 'test.read');
    await connection.synchronise();
    work.finish();
    await connection.next('task.result');
    connection.assign(REF, 'test.read');
    await connection.next('task.result');
    connection.send({ type: 'result.ack', ...REF });
    connection.assign(REF, 'test.read');
    expect(await connection.next('task.reject')).to.include({ ...REF, code: 'stale-attempt' });
    expect(workshop.begun).to.have.lengthOf(1);
    expect(taskFrames(connection)).to.deep.equal([
      'task.accept #1',
      'task.accept #1',
      'task.result #1',
      'task.result #1',
      'task.reject #1',
    ]);
  });

  it('yields to a higher attempt, which begins only when the lower one has ended', async () => {
    const { manager, workshop } = await start();
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.hung');
    const old = await workshop.next();
    connection.assign(second, 'test.read');
    await until('the lower attempt is aborted', () => old.context.signal.aborted);
    await connection.synchronise();
    expect(workshop.begun).to.have.lengthOf(1);
    old.finish('nobody wants it');
    (await workshop.next()).finish('wanted');
    expect(await connection.next('task.result')).to.include({ ...second, output: 'wanted' });
    await connection.synchronise();
    expect(connection.all('task.result')).to.have.lengthOf(1);
  });

  it('takes a lower attempt for stale', async () => {
    const { manager, workshop } = await start();
    const connection = await manager.nextSession();
    connection.assign(second, 'test.read');
    await workshop.next();
    connection.assign(REF, 'test.read');
    expect(await connection.next('task.reject')).to.include({ ...REF, code: 'stale-attempt' });
  });

  it('is refused beyond the credit, and that hurts no other', async () => {
    const { manager, workshop } = await start({ capacity: 1 });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    connection.assign({ taskId: 't-2', attempt: 1 }, 'test.read');
    expect(await connection.next('task.reject')).to.include({ taskId: 't-2', code: 'no-credit' });
    work.finish();
    await connection.next('task.result');
    connection.assign({ taskId: 't-2', attempt: 2 }, 'test.echo');
    expect(await connection.next('task.result')).to.include({ taskId: 't-2', outcome: 'succeeded' });
  });

  it('gets back the credit that a copy of an assign has used', async () => {
    const { manager, workshop } = await start({ capacity: 2 });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    await workshop.next();
    connection.assign(REF, 'test.read');
    expect((await connection.next('credit')).granted).to.equal(3);
  });

  it('is not offered while paused, and is again after resume', async () => {
    const { manager } = await start({ capacity: 1 });
    const connection = await manager.nextSession();
    connection.send({ type: 'pause', reason: 'maintenance' });
    connection.assign(REF, 'test.echo');
    await connection.next('task.result');
    await connection.synchronise();
    expect(connection.all('credit').map(({ granted }) => granted)).to.deep.equal([1]);
    connection.send({ type: 'resume' });
    expect((await connection.next('credit')).granted).to.equal(3);
  });

  it('is stopped by a cancel', async () => {
    const { manager, workshop } = await start();
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    connection.send({ type: 'task.cancel', ...REF, reason: 'not wanted' });
    expect(await connection.next('task.result')).to.include({ ...REF, outcome: 'cancelled' });
    expect(work.context.signal.reason).to.have.property('message', 'not wanted');
  });

  it('that had ended is not changed by a cancel, and one that nobody knows is not answered', async () => {
    const { manager } = await start({}, { ackResults: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.echo');
    await connection.next('task.result');
    connection.send({ type: 'task.cancel', ...REF, reason: '' });
    connection.send({ type: 'task.cancel', taskId: 'nobody', attempt: 1, reason: '' });
    await connection.synchronise();
    expect(taskFrames(connection)).to.deep.equal(['task.accept #1', 'task.result #1']);
  });

  it('that may write begins only after accept.ack', async () => {
    const { manager, workshop } = await start({}, { ackAccepts: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.write');
    await connection.next('task.accept');
    await connection.synchronise();
    expect(workshop.begun).to.deep.equal([]);
    connection.send({ type: 'accept.ack', ...REF });
    (await workshop.next()).finish();
    expect(await connection.next('task.result')).to.include({ outcome: 'succeeded' });
  });

  it('that may write takes a welcome that does not give it up for its accept.ack', async () => {
    const { manager, workshop } = await start({}, { ackAccepts: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.write');
    await connection.next('task.accept');
    connection.drop();
    const back = await manager.nextSession();
    (await workshop.next()).finish();
    expect(await back.next('task.result')).to.include({ outcome: 'succeeded' });
  });

  it('that may write is aborted at the loss of its lease, and its outcome is unknown', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock });
    const { manager, workshop } = underTest;
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.write');
    const work = await workshop.next();
    await losesItsLease(underTest, clock);
    await until('the work is aborted', () => work.context.signal.aborted);
    await clock.advance(LEASE_MS);
    const back = await manager.nextConnection();
    expect(await back.next('task.result')).to.include({ ...REF, outcome: 'unknown' });
  });

  it('that only reads goes on when the lease is lost', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock });
    const { manager, workshop } = underTest;
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    connection.assign({ taskId: 'canary', attempt: 1 }, 'test.write');
    const canary = await workshop.next();
    await losesItsLease(underTest, clock);
    await until('the lease of the other is lost', () => canary.context.signal.aborted);
    expect(work.context.signal.aborted).to.equal(false);
    work.finish();
    await clock.advance(LEASE_MS);
    const back = await manager.nextConnection();
    const results = [await back.next('task.result'), await back.next('task.result')];
    expect(results.find(({ taskId }) => taskId === REF.taskId)).to.include({ outcome: 'succeeded' });
  });

  it('whose result grew too large for a lowered frame limit says so', async () => {
    const { manager } = await start({}, { welcome: { maxFrameBytes: 4_096 } });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.echo', { input: 'x'.repeat(3_900) });
    expect(await connection.next('task.result')).to.have.nested.property('error.code', 'result-too-large');
  });

  it('is never lost when it comes in the very tick in which the one before ends, 500 times', async () => {
    const { manager, workshop } = await start({ capacity: 2 });
    const connection = await manager.nextSession();
    const ref = (n: number) => ({ taskId: `t-${n}`, attempt: 1 });
    connection.assign(ref(0), 'test.read');
    for (let n = 0; n < 500; n += 1) {
      const work = await workshop.next();
      // Whether the frame or the end of the work comes first is left to chance.
      connection.assign(ref(n + 1), 'test.read');
      for (let turns = n % 3; turns > 0; turns -= 1) await turn();
      work.finish(n);
      expect(await connection.next('task.result')).to.include({ ...ref(n), output: n });
    }
    expect(connection.all('task.reject')).to.deep.equal([]);
  });
});
