import { expect } from 'chai';
import { z } from 'zod';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { api } from './support/http.ts';
import { endingOf, managersUnderTest, writeTask } from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate, type Enrolled } from './support/scripted-delegate.ts';
import { managerWithDelegate } from './support/with-delegate.ts';

describe('a task that writes', () => {
  const start = managersUnderTest();

  const startWithDelegate = (credit = 9) => managerWithDelegate(start, credit);

  /** Its accept was acknowledged, so it may write from now on. */
  async function startWithRunning() {
    const started = await startWithDelegate();
    const { taskId } = started.manager.submit(writeTask());
    const { attempt } = await started.delegate.next('task.assign');
    const ref: TaskRef = { taskId, attempt };
    started.delegate.accept(ref);
    await started.delegate.next('accept.ack');
    return { ...started, ref, task: () => started.manager.task(taskId) };
  }

  /** The lease has ended and its delegate is gone; another delegate with credit is there, and gets nothing. */
  async function startWithOrphan() {
    const started = await startWithRunning();
    await started.delegate.vanish();
    const { delegate: other } = await ScriptedDelegate.join(
      started.manager,
      await enrol(started.manager, 'eu-2'),
      9,
    );
    await started.clock.advance(15_000);
    await other.beat();
    await started.clock.advance(15_000);
    expect(started.task()?.state.at).to.equal('orphaned');
    return { ...started, other };
  }

  function rejoin(
    started: { manager: Parameters<typeof ScriptedDelegate.join>[0]; who: Enrolled },
    said: { running?: TaskRef[]; unacknowledged?: TaskRef[] } = {},
  ) {
    return ScriptedDelegate.join(started.manager, started.who, 9, said);
  }

  leavesNothingOpen();

  describe('before its accept is acknowledged', () => {
    it('is offered elsewhere when nobody answers; the late accept is lost, and never acknowledged', async () => {
      const { manager, delegate, clock } = await startWithDelegate();
      const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await other.synchronise();
      const { taskId } = manager.submit(writeTask());
      const first = await delegate.next('task.assign');
      await clock.advance(5_000);
      expect(await other.next('task.assign')).to.include({ taskId, attempt: 2 });
      delegate.accept(first);
      delegate.accept(first);
      expect(await delegate.beat([first])).to.deep.equal([{ taskId, attempt: 1 }]);
      expect(delegate.unread('accept.ack')).to.equal(0);
    });

    it('is lost when hello names it after it was offered again', async () => {
      const started = await startWithDelegate();
      const { manager, delegate, clock } = started;
      const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await other.synchronise();
      const { taskId } = manager.submit(writeTask());
      await delegate.next('task.assign');
      await delegate.vanish();
      await clock.advance(5_000);
      const second = await other.next('task.assign');
      other.accept(second);
      await other.next('accept.ack');
      const { welcome } = await rejoin(started, { running: [{ taskId, attempt: 1 }] });
      expect(welcome.lost).to.deep.equal([{ taskId, attempt: 1 }]);
      expect(manager.task(taskId)?.state).to.include({ at: 'running' });
    });

    it('is offered again when hello or goodbye show that it was not received', async () => {
      const started = await startWithDelegate();
      const { taskId } = started.manager.submit(writeTask());
      await started.delegate.next('task.assign');
      await started.delegate.vanish();
      const { delegate: back } = await rejoin(started);
      expect(await back.next('task.assign')).to.include({ taskId, attempt: 2 });
      back.goodbye();
      const { delegate: again } = await rejoin(started);
      expect(await again.next('task.assign')).to.include({ taskId, attempt: 3 });
    });
  });

  describe('once its accept is acknowledged', () => {
    it('is orphaned when its lease ends, and given to nobody else', async () => {
      const { manager, other, ref, task } = await startWithOrphan();
      await other.synchronise();
      expect(other.unread('task.assign')).to.equal(0);
      expect(task()).to.include({ attempt: ref.attempt, losses: 0 });
      const { body } = await api(manager, 'GET', `/api/v1/tasks/${ref.taskId}`);
      expect(body).to.include({ state: 'orphaned', outcome: null });
      expect(body).to.have.nested.property('delegate.name', 'eu-1');
      const { waitingFor } = z.object({ waitingFor: z.string() }).parse(body);
      expect(waitingFor).to.contain('eu-1 (26.11.90100) took attempt 1').and.contain('nobody else');
    });

    for (const [when, running] of [
      ['named as running', true],
      ['not named', false],
    ] as const) {
      it(`is orphaned when its delegate says goodbye with it ${when}`, async () => {
        const { manager, delegate, ref, task } = await startWithRunning();
        const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 9);
        delegate.goodbye({ running: running ? [ref] : [] });
        await delegate.synchronise();
        await other.synchronise();
        expect(task()?.state.at).to.equal('orphaned');
        expect(other.unread('task.assign')).to.equal(0);
      });
    }

    it('goes on when hello names it as running again, and ends by its result', async () => {
      const started = await startWithOrphan();
      const { delegate: back, welcome } = await rejoin(started, { running: [started.ref] });
      expect(welcome.lost).to.deep.equal([]);
      expect(started.task()?.state.at).to.equal('running');
      back.succeed(started.ref);
      await back.next('result.ack');
      expect(endingOf(started.task()).outcome).to.equal('succeeded');
      const story = started.task()?.history.map(({ what }) => what);
      expect(story).to.deep.equal(['created', 'offered', 'accepted', 'orphaned', 'reclaimed', 'ended']);
    });

    it('goes on when a heartbeat comes late on a connection that never broke', async () => {
      const { delegate, clock, ref, task } = await startWithRunning();
      await clock.advance(15_000);
      expect(await delegate.beat([])).to.deep.equal([]);
      await clock.advance(15_000);
      expect(task()?.state.at).to.equal('orphaned');
      expect(await delegate.beat([ref])).to.deep.equal([]);
      expect(task()?.state.at).to.equal('running');
    });

    it('goes on when its accept is said again', async () => {
      const { delegate, clock, ref, task } = await startWithRunning();
      await clock.advance(15_000);
      await delegate.beat([]);
      await clock.advance(15_000);
      delegate.accept(ref);
      expect(await delegate.next('accept.ack')).to.include(ref);
      expect(task()?.state.at).to.equal('running');
    });

    it('stays orphaned while its result is promised, and ends by it', async () => {
      const started = await startWithOrphan();
      const { delegate: back } = await rejoin(started, { unacknowledged: [started.ref] });
      await back.synchronise();
      expect(started.task()?.state.at).to.equal('orphaned');
      back.fail(started.ref, { code: 'interrupted', retryable: false }, 'unknown');
      await back.next('result.ack');
      expect(endingOf(started.task())).to.nested.include({ outcome: 'unknown', 'error.code': 'interrupted' });
    });

    it('ends as unknown when its delegate never comes back with it; what it says later changes nothing', async () => {
      const started = await startWithOrphan();
      const { clock, other, ref, task } = started;
      for (let beats = 0; beats < 3; beats += 1) {
        await other.beat();
        await clock.advance(20_000);
      }
      const ending = endingOf(task());
      expect(ending.outcome).to.equal('unknown');
      expect(ending.error).to.include({
        code: 'outcome-unknown',
        category: 'ambiguous',
        retryable: false,
        hint: 'Look at the record before doing it again.',
      });
      expect(ending.error?.message).to.contain('eu-1 (26.11.90100) took attempt 1').and.contain('not known');
      expect(ending.holder?.name).to.equal('eu-1');

      const { delegate: back, welcome } = await rejoin(started, { running: [ref] });
      expect(welcome.lost).to.deep.equal([ref]);
      back.succeed(ref);
      await back.next('result.ack');
      expect(endingOf(task())).to.deep.equal(ending);
    });

    it('is named as lost when it has ended as unknown, also to a delegate that has not named it for long', async () => {
      const { delegate, clock, ref, task } = await startWithRunning();
      for (let elapsedMs = 0; elapsedMs < 90_000; elapsedMs += 15_000) {
        expect(await delegate.beat([])).to.deep.equal([]);
        await clock.advance(15_000);
      }
      expect(endingOf(task()).outcome).to.equal('unknown');
      expect(await delegate.beat([])).to.deep.equal([ref]);
    });

    it('ends as unknown at once when its delegate comes back without any memory of it', async () => {
      const started = await startWithRunning();
      await started.delegate.vanish();
      await rejoin(started);
      const { outcome, error } = endingOf(started.task());
      expect(outcome).to.equal('unknown');
      expect(error?.message).to.contain('without any memory of it');
    });

    it('is not doubted because of a hello that was written before its accept', async () => {
      const { manager, who, delegate, clock } = await startWithDelegate();
      const opening = await ScriptedDelegate.connect(manager, who);
      await clock.advance(1);
      const { taskId } = manager.submit(writeTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      await delegate.next('accept.ack');
      opening.hello();
      expect((await opening.next('welcome')).lost).to.deep.equal([]);
      expect(manager.task(taskId)?.state.at).to.equal('running');
      expect(await opening.beat([{ taskId, attempt: 1 }])).to.deep.equal([]);
      opening.succeed(assign);
      await opening.next('result.ack');
      expect(endingOf(manager.task(taskId)).outcome).to.equal('succeeded');
    });

    it('is not offered again because of a reject, which after an accept means nothing', async () => {
      const { delegate, ref, task } = await startWithRunning();
      delegate.send({ type: 'task.reject', ...ref, code: 'draining', message: 'too late' });
      await delegate.synchronise();
      expect(task()?.state.at).to.equal('running');
      expect(delegate.unread('task.assign')).to.equal(0);
    });
  });

  describe('that is cancelled', () => {
    it('while orphaned is cancelled when its delegate is back, and ends by what it says', async () => {
      const started = await startWithOrphan();
      started.manager.cancel(started.ref.taskId, 'not needed');
      expect(started.task()?.state.at).to.equal('orphaned');
      const { delegate: back } = await rejoin(started, { running: [started.ref] });
      expect(await back.next('task.cancel')).to.include({ ...started.ref, reason: 'not needed' });
      back.fail(started.ref, { code: 'cancelled', retryable: false }, 'cancelled');
      await back.next('result.ack');
      expect(endingOf(started.task()).outcome).to.equal('cancelled');
    });

    it('while orphaned on a live connection is cancelled there at once', async () => {
      const { manager, delegate, clock, ref } = await startWithRunning();
      await clock.advance(15_000);
      await delegate.beat([]);
      await clock.advance(15_000);
      manager.cancel(ref.taskId, 'not needed');
      expect(await delegate.next('task.cancel')).to.include(ref);
    });

    it('ends as unknown all the same when its delegate stays away', async () => {
      const { manager, clock, delegate, ref, task } = await startWithRunning();
      manager.cancel(ref.taskId, 'not needed');
      await delegate.vanish();
      await clock.advance(30_000);
      expect(task()?.state.at).to.equal('orphaned');
      await clock.advance(60_000);
      expect(endingOf(task()).outcome).to.equal('unknown');
    });
  });

  it('whose delegate names it for ever is given up a lease after its time, as unknown', async () => {
    const { clock, delegate, ref, task } = await startWithRunning();
    for (let elapsedMs = 0; elapsedMs < 90_000; elapsedMs += 10_000) {
      expect(await delegate.beat([ref])).to.deep.equal([]);
      await clock.advance(10_000);
    }
    expect(await delegate.beat([ref])).to.deep.equal([ref]);
    const { outcome, error } = endingOf(task());
    expect(outcome).to.equal('unknown');
    expect(error?.message).to.contain('still names it as running').and.contain('60000 ms');
    expect(task()?.history.map(({ what }) => what)).to.include('overran');
  });

  it('is treated as reading by a delegate that does not say that it writes', async () => {
    const { manager, clock } = await startWithDelegate(0);
    const tasks = [{ name: 'demo.write', version: 1 }];
    const { delegate: older } = await ScriptedDelegate.join(manager, await enrol(manager, 'old'), 9, {
      tasks,
    });
    await older.synchronise();
    const { taskId } = manager.submit(writeTask());
    older.accept(await older.next('task.assign'));
    await older.next('accept.ack');
    await clock.advance(15_000);
    await older.beat([]);
    await clock.advance(15_000);
    expect(await older.next('task.assign')).to.include({ taskId, attempt: 2 });
  });
});
