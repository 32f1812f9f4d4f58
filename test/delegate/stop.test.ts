import { expect } from 'chai';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until, within } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';
import { REF } from './frames.ts';

const GRACE_MS = 25_000;
const HEARTBEAT_MS = 10_000;
const FLUSH_MS = 3_000;

describe('a stop', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  it('of an idle delegate says goodbye at once', async () => {
    const clock = new ManualClock();
    const { manager, delegate, ended } = await start({ clock });
    const connection = await manager.nextSession();
    await within('the stop', delegate.stop('the user asked'));
    expect(await connection.next('draining')).to.deep.include({ reason: 'the user asked', running: [] });
    expect(await connection.next('goodbye')).to.deep.include({ running: [], unacknowledged: [] });
    expect((await connection.closed()).code).to.equal(1000);
    expect(await ended()).to.equal(undefined);
    expect(delegate.phase).to.equal('stopped');
    expect(clock.monotonic()).to.equal(0);
    expect(clock.pending).to.equal(0);
  });

  it('lets what runs end within the grace, takes nothing new, and keeps its heartbeats', async () => {
    const clock = new ManualClock();
    const { manager, delegate, workshop } = await start({ clock });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.write');
    const work = await workshop.next();
    const stopped = delegate.stop('');
    expect(await connection.next('draining')).to.deep.include({ running: [REF] });
    for (const seq of [0, 1]) {
      await clock.advance(HEARTBEAT_MS);
      expect((await connection.next('heartbeat')).seq).to.equal(seq);
    }
    connection.assign({ taskId: 't-2', attempt: 1 }, 'test.echo');
    expect(await connection.next('task.reject')).to.include({ code: 'draining' });
    expect(work.context.signal.aborted).to.equal(false);
    work.finish();
    expect(await connection.next('task.result')).to.include({ outcome: 'succeeded' });
    expect(await connection.next('goodbye')).to.deep.include({ running: [], unacknowledged: [] });
    await within('the stop', stopped);
    expect(connection.all('credit')).to.have.lengthOf(1);
    const order = connection.received.map((frame) => frame.type);
    expect(order.at(-1)).to.equal('goodbye');
  });

  it('aborts what outlasts the grace, and delivers how it ended before the goodbye', async () => {
    const clock = new ManualClock();
    const { manager, delegate, workshop } = await start({ clock });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await workshop.next();
    const stopped = delegate.stop('', 5_000);
    await clock.advance(4_999);
    expect(work.context.signal.aborted).to.equal(false);
    await clock.advance(1);
    await within('the stop', stopped);
    const result = connection.all('task.result')[0];
    expect(result).to.include({ outcome: 'failed' });
    expect(result).to.have.nested.property('error.code', 'interrupted');
    expect(connection.received.map((frame) => frame.type).slice(-2)).to.deep.equal([
      'task.result',
      'goodbye',
    ]);
  });

  it('of work that may write reports it as unknown', async () => {
    const { manager, delegate, workshop } = await start();
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.write');
    await workshop.next();
    await within('the stop', delegate.stop('', 0));
    expect(connection.all('task.result')[0]).to.include({ outcome: 'unknown' });
  });

  it('does not wait for ever for work that ignores its signal, and says what it waited for', async () => {
    const clock = new ManualClock();
    const { manager, delegate, workshop, log } = await start({ clock });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.hung');
    await workshop.next();
    const stopped = delegate.stop('', GRACE_MS);
    for (let seq = 0; seq < 3; seq += 1) await clock.advance(GRACE_MS / 3);
    await clock.advance(FLUSH_MS + 1);
    await within('the stop', stopped);
    expect(await connection.next('goodbye')).to.deep.include({ running: [REF] });
    const waiting = log.filter((line) => line.includes('still waiting'));
    expect(waiting).to.have.lengthOf.at.least(5);
    for (const [n, line] of waiting.entries()) {
      expect(line).to.match(new RegExp(`"taskId":"t-1".*"name":"test.hung","ageMs":${(n + 1) * 5_000}\\b`));
    }
    expect(log.join('')).to.include('did not obey');
    workshop.finishAll();
  });

  it('does not wait for ever for an acknowledgement', async () => {
    const clock = new ManualClock();
    const { manager, delegate } = await start({ clock }, { ackResults: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.echo');
    await connection.next('task.result');
    const stopped = delegate.stop('');
    await connection.next('draining');
    await clock.advance(FLUSH_MS);
    await within('the stop', stopped);
    expect(await connection.next('goodbye')).to.deep.include({ unacknowledged: [REF] });
  });

  it('that meets a manager that is gone keeps within its bounds', async () => {
    const clock = new ManualClock();
    const { manager, delegate, workshop } = await start({ clock });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    await workshop.next();
    manager.script.upgrade = 'never';
    connection.drop();
    await until('the delegate has noticed', () => !delegate.readiness().ready);
    const stopped = delegate.stop('', 1_000);
    await clock.advance(1_000);
    await clock.advance(2 * FLUSH_MS);
    await within('the stop', stopped);
    expect(delegate.phase).to.equal('stopped');
  });

  it('that meets a manager that reads nothing keeps within its bounds', async () => {
    const clock = new ManualClock();
    const { manager, delegate } = await start({ clock });
    const connection = await manager.nextSession();
    connection.freeze();
    const stopped = delegate.stop('');
    await clock.advance(1_000);
    await within('the stop', stopped);
  });

  it('of a delegate that has no connection yet ends it at once', async () => {
    const { manager, delegate, ended } = await start({}, { upgrade: 'never' });
    await until('it dials', () => manager.connectTokens.length === 1);
    await within('the stop', delegate.stop(''));
    expect(await ended()).to.equal(undefined);
  });

  it('between hello and welcome ends it at once', async () => {
    const { manager, delegate, ended } = await start({}, { welcome: 'never' });
    const connection = await manager.nextConnection();
    await connection.next('hello');
    await within('the stop', delegate.stop(''));
    await connection.closed();
    expect(await ended()).to.equal(undefined);
  });

  it('that comes while the connection is away goes on leaving when it is back', async () => {
    const { manager, delegate, workshop } = await start();
    const first = await manager.nextSession();
    first.assign(REF, 'test.read');
    const work = await workshop.next();
    manager.script.upgrade = { status: 503 };
    first.drop();
    await until('the delegate has noticed', () => !delegate.readiness().ready);
    const stopped = delegate.stop('');
    manager.script.upgrade = 'accept';
    const back = await manager.nextConnection();
    await back.next('draining');
    expect(delegate.phase).to.equal('draining');
    expect(delegate.readiness().ready).to.equal(false);
    work.finish();
    expect(await back.next('task.result')).to.include({ outcome: 'succeeded' });
    await within('the stop', stopped);
    expect(back.all('credit')).to.deep.equal([]);
  });

  it('in the middle of a move ends both sessions', async () => {
    const { manager, delegate } = await start();
    const old = await manager.nextSession();
    manager.script.welcome = 'never';
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    const next = await manager.nextConnection();
    await next.next('hello');
    await within('the stop', delegate.stop(''));
    expect((await old.closed()).code).to.equal(1000);
    await next.closed();
  });

  it('asked for twice is one stop', async () => {
    const { manager, delegate } = await start();
    const connection = await manager.nextSession();
    expect(delegate.stop('one')).to.equal(delegate.stop('two'));
    await connection.closed();
    expect(connection.all('draining')).to.have.lengthOf(1);
  });

  it('with results too many for one goodbye under a lowered frame limit still ends with 1000', async () => {
    const clock = new ManualClock();
    const { manager, delegate } = await start(
      { clock, capacity: 40 },
      { welcome: { maxFrameBytes: 4_096 }, ackResults: false },
    );
    const connection = await manager.nextSession();
    for (let n = 0; n < 40; n += 1) {
      connection.assign({ taskId: `${n}-${'x'.repeat(120)}`, attempt: 1 }, 'test.echo');
    }
    await until('all results are there', () => connection.all('task.result').length === 40);
    const stopped = delegate.stop('');
    await connection.next('draining');
    await clock.advance(FLUSH_MS);
    await within('the stop', stopped);
    expect((await connection.closed()).code).to.equal(1000);
  });
});
