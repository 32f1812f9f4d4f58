import { expect } from 'chai';
import { endingOf, managersUnderTest, readTask } from '../manager/support/manager-under-test.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { httpAnswer } from '../support/fault-proxy.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until, within } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';
import { faultProxies, redialling, waits } from './wire.ts';

/** Both real sides, and a wire between them that can be broken. */

const HEARTBEAT_MS = 10_000;
const LEASE_MS = 3 * HEARTBEAT_MS;
/** From two heartbeats of silence on, past the end of the lease. */
const AWAY_MS = 2 * HEARTBEAT_MS;

describe('a broken wire between the two real sides', () => {
  const newProxy = faultProxies();
  const newManager = managersUnderTest();
  const newDelegate = delegatesUnderTest();
  leavesNothingOpen();

  async function start() {
    const proxy = await newProxy();
    // One time for both, in the hands of the test: by its own, a lease could pass while a busy machine stands still.
    const clock = new ManualClock();
    const { manager } = await newManager({
      publicUrl: proxy.url,
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
      clock,
    });
    proxy.targetPort = Number(new URL(manager.url).port);
    const enrolmentToken = manager.createEnrolmentToken().value;
    const underTest = await newDelegate({ managerUrl: proxy.url, enrolmentToken, clock });
    const { delegate } = underTest;
    await until('it is ready', () => delegate.readiness().ready);
    /** Ends the delegate, too, so that it has heard of the acknowledgement before its wire goes. */
    const ended = async (taskId: string) => {
      const task = await within('the task to end', manager.whenEnded(taskId, new AbortController().signal));
      await within('the stop', delegate.stop('the test is over', 0));
      return task;
    };
    const redial = redialling(underTest, clock);
    return { ...underTest, proxy, manager, ended, clock, redial };
  }

  for (const flow of ['discard', 'stall'] as const) {
    it(`(delegate to manager, ${flow}) is closed by the manager at the lease, and the task offered again`, async () => {
      const underTest = await start();
      const { proxy, manager, delegate, workshop, ended, clock, redial } = underTest;
      const { taskId } = manager.submit(readTask({ name: 'test.read' }));
      const first = await workshop.next();
      await until('the manager knows', () => manager.task(taskId)?.state.at === 'running');
      // One long wait, which ends when the test says so.
      proxy.door = {
        answer: httpAnswer('503 Service Unavailable', { 'retry-after': String(AWAY_MS / 1_000) }),
      };
      proxy.latest.up.flow = flow;
      await clock.advance(2 * HEARTBEAT_MS);
      await redial();
      await until('it is told to wait', () => waits(underTest).at(-1) === AWAY_MS);
      await clock.advance(LEASE_MS - 2 * HEARTBEAT_MS);
      await until('the manager has closed', () => manager.sessions.length === 0);
      expect(delegate.readiness()).to.include({ ready: false });
      await until('the lease is over', () => manager.task(taskId)?.state.at === 'waiting');
      // Work that only reads may go on; its result is not wanted any more.
      expect(first.context.signal.aborted).to.equal(false);
      proxy.door = 'open';
      await clock.advance(AWAY_MS - (LEASE_MS - 2 * HEARTBEAT_MS));
      await until('it is back', () => delegate.readiness().ready);
      const secondWork = await workshop.next();
      expect(first.context.signal.aborted).to.equal(true);
      secondWork.finish('by the second attempt');
      expect(endingOf(await ended(taskId))).to.include({ output: 'by the second attempt' });
      expect(manager.task(taskId)?.history.map(({ what }) => what)).to.include('lease-expired');
      expect(workshop.begun).to.have.lengthOf(2);
    });
  }

  it('(manager to delegate) costs no attempt when another wire is there before the lease is over', async () => {
    const { proxy, manager, workshop, ended, clock, redial } = await start();
    const { taskId } = manager.submit(readTask({ name: 'test.read' }));
    const work = await workshop.next();
    const [session] = manager.sessions;
    proxy.latest.down.flow = 'discard';
    await clock.advance(2 * HEARTBEAT_MS);
    await redial();
    await until('another session is there', () => {
      const [now] = manager.sessions;
      return now !== undefined && now.sessionId !== session?.sessionId;
    });
    work.finish('undisturbed');
    expect(endingOf(await ended(taskId))).to.include({ output: 'undisturbed' });
    expect(manager.task(taskId)).to.include({ attempt: 1 });
    expect(workshop.begun).to.have.lengthOf(1);
  });

  it('that carries an upgrade twice gets a session once: the copy is refused by its token', async () => {
    const { proxy, manager, delegate } = await start();
    const [session] = manager.sessions;
    expect(await within('the answer', proxy.latest.replay())).to.match(/^HTTP\/1\.1 401 /);
    expect(manager.sessions.map(({ sessionId }) => sessionId)).to.deep.equal([session?.sessionId]);
    expect(delegate.readiness().ready).to.equal(true);
  });
});
