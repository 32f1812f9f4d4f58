import { expect } from 'chai';
import { createMemoryStore, type Manager, type ManagerStore } from '../../src/manager/manager.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import {
  endingOf,
  managersUnderTest,
  readTask,
  storeLeftBy,
  writeTask,
} from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate, type Enrolled } from './support/scripted-delegate.ts';
import { managerWithDelegate } from './support/with-delegate.ts';

const PUBLIC_URL = 'https://manager.example.com';

describe('a manager that starts again on the same store', () => {
  const start = managersUnderTest();

  interface Before {
    readonly manager: Manager;
    readonly store: ManagerStore;
    readonly clock: ManualClock;
    readonly who: Enrolled;
    readonly delegate: ScriptedDelegate;
  }

  async function startBefore(): Promise<Before> {
    const store = createMemoryStore();
    return { store, ...(await managerWithDelegate(start, 9, { store, publicUrl: PUBLIC_URL })) };
  }

  const ways: readonly (readonly [string, (before: Before) => Promise<ManagerStore>])[] = [
    [
      'was closed',
      async ({ manager, store }) => {
        await manager.close();
        return store;
      },
    ],
    [
      'was killed',
      async ({ store, delegate }) => {
        const left = storeLeftBy(store);
        await delegate.vanish();
        return left;
      },
    ],
  ];

  leavesNothingOpen();

  for (const [how, end] of ways) {
    describe(`after it ${how}`, () => {
      async function restart(before: Before) {
        const store = await end(before);
        const clock = new ManualClock(before.clock.now());
        const { manager } = await start({ store, clock, publicUrl: PUBLIC_URL });
        return { manager, clock };
      }

      it('places what was waiting', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(readTask({ selectors: ['us'] }));
        const { manager } = await restart(before);
        expect(manager.task(taskId)?.state.at).to.equal('waiting');
        const { delegate: us } = await ScriptedDelegate.join(manager, await enrol(manager, 'us'), 1);
        expect(await us.next('task.assign')).to.include({ taskId, attempt: 1 });
      });

      it('lets what was waiting wait its full time again', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(readTask({ selectors: ['us'] }));
        await before.clock.advance(29_000);
        const { manager, clock } = await restart(before);
        await clock.advance(59_000);
        expect(manager.task(taskId)?.state.at).to.equal('waiting');
        await clock.advance(1_000);
        expect(endingOf(manager.task(taskId)).error?.code).to.equal('no-delegate');
      });

      it('leaves what was offered to whoever may have it for a full lease, then offers it again', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        await before.delegate.next('task.assign');
        const { manager, clock } = await restart(before);
        const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 9);
        await clock.advance(29_000);
        await other.beat();
        expect(manager.task(taskId)?.state.at).to.equal('offered');
        await clock.advance(1_000);
        expect(await other.next('task.assign')).to.include({ taskId, attempt: 2 });
      });

      it('keeps what was offered for its delegate, if that comes back and names it', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        const assign = await before.delegate.next('task.assign');
        const { manager, clock } = await restart(before);
        await clock.advance(20_000);
        const running = [{ taskId, attempt: 1 }];
        const { delegate: back, welcome } = await ScriptedDelegate.join(manager, before.who, 9, { running });
        expect(welcome.lost).to.deep.equal([]);
        back.succeed(assign);
        await back.next('result.ack');
        expect(endingOf(manager.task(taskId)).outcome).to.equal('succeeded');
      });

      for (const [effect, request, after] of [
        ['reads', readTask(), 'waiting'],
        ['writes', writeTask(), 'orphaned'],
      ] as const) {
        it(`gives what was running and ${effect} a full lease before it does anything`, async () => {
          const before = await startBefore();
          const { taskId } = before.manager.submit(request);
          before.delegate.accept(await before.delegate.next('task.assign'));
          await before.delegate.next('accept.ack');
          await before.clock.advance(29_000);
          const { manager, clock } = await restart(before);
          await clock.advance(29_000);
          expect(manager.task(taskId)?.state.at).to.equal('running');
          await clock.advance(1_000);
          expect(manager.task(taskId)?.state.at).to.equal(after);
        });

        it(`keeps what was running and ${effect} for the delegate that comes back and names it`, async () => {
          const before = await startBefore();
          const { taskId } = before.manager.submit(request);
          const assign = await before.delegate.next('task.assign');
          before.delegate.accept(assign);
          await before.delegate.next('accept.ack');
          const { manager, clock } = await restart(before);
          await clock.advance(25_000);
          const running = [{ taskId, attempt: 1 }];
          const { delegate: back, welcome } = await ScriptedDelegate.join(manager, before.who, 9, {
            running,
          });
          expect(welcome.lost).to.deep.equal([]);
          await clock.advance(25_000);
          expect(await back.beat(running)).to.deep.equal([]);
          back.succeed(assign);
          await back.next('result.ack');
          expect(endingOf(manager.task(taskId)).outcome).to.equal('succeeded');
          expect(back.unread('task.assign')).to.equal(0);
        });
      }

      it('counts the time of what runs anew', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(readTask({ timeoutMs: 10_000 }));
        const running = [{ taskId, attempt: 1 }];
        before.delegate.accept(await before.delegate.next('task.assign'));
        await before.clock.advance(25_000);
        await before.delegate.beat(running);
        const { manager, clock } = await restart(before);
        const { delegate: back } = await ScriptedDelegate.join(manager, before.who, 9, { running });
        await clock.advance(20_000);
        expect(await back.beat(running)).to.deep.equal([]);
        await clock.advance(20_000);
        expect(await back.beat(running)).to.deep.equal(running);
        expect(endingOf(manager.task(taskId)).error?.code).to.equal('overran');
      });

      it('waits anew for the delegate of what was orphaned', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        before.delegate.accept(await before.delegate.next('task.assign'));
        before.delegate.goodbye();
        await before.delegate.synchronise();
        await before.clock.advance(29_000);
        const { manager, clock } = await restart(before);
        await clock.advance(59_000);
        expect(manager.task(taskId)?.state.at).to.equal('orphaned');
        await clock.advance(1_000);
        expect(endingOf(manager.task(taskId)).outcome).to.equal('unknown');
      });

      it('takes the result of what was orphaned from the delegate that comes back with it', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        const assign = await before.delegate.next('task.assign');
        before.delegate.accept(assign);
        before.delegate.goodbye();
        await before.delegate.synchronise();
        const { manager } = await restart(before);
        const { delegate: back } = await ScriptedDelegate.join(manager, before.who, 9, {
          unacknowledged: [{ taskId, attempt: 1 }],
        });
        back.fail(assign, { code: 'interrupted', retryable: false }, 'unknown');
        await back.next('result.ack');
        expect(endingOf(manager.task(taskId)).error?.code).to.equal('interrupted');
      });

      it('acknowledges, and does not count again, the result of what had ended', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        const assign = await before.delegate.next('task.assign');
        before.delegate.succeed(assign, 'first');
        await before.delegate.next('result.ack');
        const { manager } = await restart(before);
        const { delegate: back } = await ScriptedDelegate.join(manager, before.who);
        back.succeed(assign, 'second');
        await back.next('result.ack');
        expect(endingOf(manager.task(taskId)).output).to.equal('first');
      });

      it('still sends the cancel that was asked for before', async () => {
        const before = await startBefore();
        const { taskId } = before.manager.submit(writeTask());
        before.delegate.accept(await before.delegate.next('task.assign'));
        await before.delegate.next('accept.ack');
        before.manager.cancel(taskId, 'not needed');
        const { manager } = await restart(before);
        const { delegate: back } = await ScriptedDelegate.join(manager, before.who, 9, {
          running: [{ taskId, attempt: 1 }],
        });
        expect(await back.next('task.cancel')).to.include({ taskId, reason: 'not needed' });
      });
    });
  }
});
