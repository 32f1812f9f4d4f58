import { expect } from 'chai';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { endingOf, managersUnderTest, readTask } from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate } from './support/scripted-delegate.ts';

describe('a task at a delegate that goes wrong', () => {
  const start = managersUnderTest();

  async function startManager() {
    const clock = new ManualClock();
    const watched = await start({ clock });
    const join = async (name: string, credit: number): Promise<ScriptedDelegate> => {
      const { delegate } = await ScriptedDelegate.join(
        watched.manager,
        await enrol(watched.manager, name),
        credit,
      );
      await delegate.synchronise();
      return delegate;
    };
    return { ...watched, clock, join };
  }

  leavesNothingOpen();

  it('is taken from one that names it for ever, a lease after its time, and not given to the next', async () => {
    const { manager, clock, join } = await startManager();
    const hung = await join('eu-1', 9);
    const other = await join('eu-2', 1);
    const { taskId } = manager.submit(readTask({ timeoutMs: 30_000 }));
    const ref: TaskRef = { taskId, attempt: 1 };
    hung.accept(await hung.next('task.assign'));
    await hung.next('accept.ack');
    const acceptedAt = manager.task(taskId)?.history.at(-1)?.at;
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 20_000) {
      expect(await hung.beat([ref])).to.deep.equal([]);
      await other.beat();
      await clock.advance(20_000);
    }
    expect(await hung.beat([ref])).to.deep.equal([ref]);
    await other.synchronise();
    expect(other.unread('task.assign')).to.equal(0);

    const { outcome, error, holder } = endingOf(manager.task(taskId));
    expect(outcome).to.equal('failed');
    expect(error).to.include({ code: 'overran', category: 'timeout' });
    expect(error?.message).to.contain(`eu-1 (26.11.90100) took attempt 1 at ${acceptedAt}`);
    expect(holder?.name).to.equal('eu-1');
    expect(manager.task(taskId)?.history.map(({ what }) => what)).to.include('overran');
  });

  it('is taken from one that reconnects again and again and promises a result that never comes', async () => {
    const { manager, clock } = await startManager();
    const who = await enrol(manager);
    const { delegate } = await ScriptedDelegate.join(manager, who, 1);
    const { taskId } = manager.submit(readTask({ timeoutMs: 1_000 }));
    const ref: TaskRef = { taskId, attempt: 1 };
    delegate.accept(await delegate.next('task.assign'));
    await delegate.next('accept.ack');
    await delegate.vanish();
    for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 20_000) {
      await clock.advance(20_000);
      const { delegate: back } = await ScriptedDelegate.join(manager, who, 0, { unacknowledged: [ref] });
      await back.vanish();
    }
    expect(manager.task(taskId)?.history.map(({ what }) => what)).to.include('lease-expired');
  });

  it('that kills whoever takes it ends in an error that names all three, the first long dead', async () => {
    const { manager, clock, join } = await startManager();
    const alive = [await join('eu-1', 3), await join('eu-2', 2), await join('eu-3', 1)];
    const { taskId } = manager.submit(readTask());
    while (alive.length > 0) {
      const victim = alive.shift();
      if (victim === undefined) throw new Error('somebody is alive');
      victim.accept(await victim.next('task.assign'));
      await victim.next('accept.ack');
      await victim.vanish();
      for (let elapsedMs = 0; elapsedMs < 30_000; elapsedMs += 15_000) {
        await Promise.all(alive.map((delegate) => delegate.beat()));
        await clock.advance(15_000);
      }
    }
    const { outcome, error } = endingOf(manager.task(taskId));
    expect(outcome).to.equal('failed');
    expect(error).to.include({ code: 'lease-expired', category: 'unavailable' });
    for (const [index, name] of ['eu-1', 'eu-2', 'eu-3'].entries()) {
      expect(error?.message).to.contain(`attempt ${index + 1} at ${name} (26.11.90100) lost its lease`);
    }
  });

  it('that was begun three times has a story of these attempts alone', async () => {
    const { manager, clock } = await startManager();
    const who = await enrol(manager);
    const { taskId } = manager.submit(readTask());
    const { delegate: deaf } = await ScriptedDelegate.join(manager, who, 1);
    await deaf.next('task.assign');
    await deaf.vanish();
    for (let attempt = 2; attempt <= 4; attempt += 1) {
      const { delegate } = await ScriptedDelegate.join(manager, who, 1);
      delegate.accept(await delegate.next('task.assign'));
      await delegate.next('accept.ack');
      await delegate.vanish();
      await clock.advance(30_000);
    }
    const { error } = endingOf(manager.task(taskId));
    expect(error?.message).to.match(/^3 attempts were begun and none came back: attempt 2 at/);
  });

  it('whose delegate is dead does not hold up the sweep over the others', async () => {
    const { manager, clock, join } = await startManager();
    const three = [await join('eu-1', 1), await join('eu-2', 1), await join('eu-3', 1)];
    const tasks = three.map(() => manager.submit(readTask()).taskId);
    for (const delegate of three) {
      delegate.accept(await delegate.next('task.assign'));
      await delegate.next('accept.ack');
      await delegate.vanish();
    }
    await clock.advance(30_000);
    const states = tasks.map((taskId) => manager.task(taskId)?.state.at);
    expect(states).to.deep.equal(['waiting', 'waiting', 'waiting']);
  });

  it('goes elsewhere from one that beats but answers no assign, and so do the tasks after it', async () => {
    const { manager, clock, join } = await startManager();
    const deaf = await join('eu-1', 9);
    const other = await join('eu-2', 6);
    const first = [1, 2, 3].map((n) => manager.submit(readTask({ input: n })).taskId);
    for (const taskId of first) expect((await deaf.next('task.assign')).taskId).to.equal(taskId);
    expect(await deaf.beat([])).to.deep.equal([]);
    await clock.advance(5_000);
    for (const taskId of first) {
      const again = await other.next('task.assign');
      expect(again).to.include({ taskId, attempt: 2 });
      other.accept(again);
    }
    // It has more credit than the other, and is passed over for a task that it has never missed.
    const { taskId } = manager.submit(readTask());
    expect(await other.next('task.assign')).to.include({ taskId, attempt: 1 });
    expect(deaf.unread('task.assign')).to.equal(0);
  });

  it('comes back to one that missed three offers when nobody else has credit, and as before once it accepts', async () => {
    const { manager, clock, join } = await startManager();
    const slow = await join('eu-1', 9);
    for (let n = 0; n < 3; n += 1) manager.submit(readTask());
    await clock.advance(5_000);
    for (let n = 0; n < 3; n += 1) await slow.next('task.assign');
    const again = await slow.next('task.assign');
    expect(again.attempt).to.equal(2);
    const other = await join('eu-2', 1);
    slow.accept(again);
    await slow.next('accept.ack');
    const { taskId } = manager.submit(readTask());
    await slow.next('task.assign');
    await slow.next('task.assign');
    expect((await slow.next('task.assign')).taskId).to.equal(taskId);
    expect(other.unread('task.assign')).to.equal(0);
  });
});
