import { expect } from 'chai';
import { CloseCode } from '../../src/protocol/close-codes.ts';
import type { TaskRef } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { managersUnderTest, readTask } from './support/manager-under-test.ts';
import { enrol, ScriptedDelegate } from './support/scripted-delegate.ts';

/** In a frame of 4096 bytes. */
function moreThanFits(): TaskRef[] {
  return Array.from({ length: 60 }, (_, n) => ({ taskId: `t${n}`.padEnd(128, '-'), attempt: 1 }));
}

describe('a session with the manager', () => {
  const start = managersUnderTest();
  leavesNothingOpen();

  describe('opening', () => {
    it('is welcomed with the numbers that the manager was started with', async () => {
      const { manager } = await start({ heartbeatMs: 2_000, leaseMs: 7_000, maxFrameBytes: 8_192 });
      const { welcome } = await ScriptedDelegate.join(manager, await enrol(manager));
      expect(welcome).to.include({ heartbeatMs: 2_000, leaseMs: 7_000, maxFrameBytes: 8_192 });
      expect(manager.sessions.map(({ sessionId }) => sessionId)).to.deep.equal([welcome.sessionId]);
    });

    it('is told of every task that is lost, also if the welcome is larger than what it allows from then on', async () => {
      const { manager } = await start({ maxFrameBytes: 4_096 });
      const running = moreThanFits();
      const { delegate, welcome } = await ScriptedDelegate.join(manager, await enrol(manager), 1, {
        running,
      });
      expect(welcome.lost).to.deep.equal(running);
      await delegate.synchronise();
    });

    it('is closed 4408 when no hello comes', async () => {
      const clock = new ManualClock();
      const { manager } = await start({ clock });
      const delegate = await ScriptedDelegate.connect(manager, await enrol(manager));
      await clock.advance(5_000);
      expect((await delegate.closed).code).to.equal(CloseCode.Overdue);
    });

    it('is closed 4400 by another known frame before hello', async () => {
      const { manager } = await start();
      const delegate = await ScriptedDelegate.connect(manager, await enrol(manager));
      delegate.send({ type: 'credit', granted: 1 });
      expect((await delegate.closed).code).to.equal(CloseCode.MalformedFrame);
    });

    it('is not disturbed by a frame of unknown type before hello', async () => {
      const { manager } = await start();
      const delegate = await ScriptedDelegate.connect(manager, await enrol(manager));
      delegate.sendRaw('{"type":"from.the.future"}');
      delegate.hello();
      await delegate.next('welcome');
      expect(manager.sessions[0]?.unknownFrames).to.equal(1);
    });

    it('is closed 4401 when hello names another delegate than the token', async () => {
      const { manager } = await start();
      const other = await enrol(manager, 'eu-2');
      const delegate = await ScriptedDelegate.connect(manager, await enrol(manager));
      delegate.hello({ delegateId: other.delegateId });
      expect((await delegate.closed).code).to.equal(CloseCode.NotAuthenticated);
    });

    it('is closed 4426, naming the least build, for a delegate that is too old', async () => {
      const { manager } = await start({ minBuildToConnect: 80_000 });
      const delegate = await ScriptedDelegate.connect(manager, await enrol(manager, 'old', '23.06.79999'));
      delegate.hello();
      const { code, reason } = await delegate.closed;
      expect(code).to.equal(CloseCode.TooOld);
      expect(reason).to.contain('80000');
    });
  });

  describe('frames', () => {
    const malformed: readonly (readonly [string, string | Buffer, boolean])[] = [
      ['text that is not JSON', '{', false],
      ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), false],
      ['a binary frame', Buffer.from('{"type":"credit","granted":1}'), true],
      ['a known type with a wrong field', '{"type":"credit","granted":-1}', false],
      ['JSON without a type', '{"granted":1}', false],
      ['JSON nested too deep', `{"type":"x","v":${'['.repeat(70)}${']'.repeat(70)}}`, false],
    ];
    for (const [what, data, binary] of malformed) {
      it(`close 4400: ${what}`, async () => {
        const { manager } = await start();
        const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
        delegate.sendRaw(data, binary);
        expect((await delegate.closed).code).to.equal(CloseCode.MalformedFrame);
      });
    }

    it('close 4400: a second hello', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.hello();
      expect((await delegate.closed).code).to.equal(CloseCode.MalformedFrame);
    });

    it('close 4400: credit that goes down', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 3);
      delegate.send({ type: 'credit', granted: 2 });
      expect((await delegate.closed).code).to.equal(CloseCode.MalformedFrame);
    });

    it('close 1009: one larger than the protocol allows', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.sendRaw('x'.repeat(1_048_577));
      expect((await delegate.closed).code).to.equal(CloseCode.FrameTooLarge);
    });

    it('close 1009: one larger than the welcome allowed', async () => {
      const { manager } = await start({ maxFrameBytes: 4_096 });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.sendRaw(JSON.stringify({ type: 'x', pad: 'x'.repeat(4_096) }));
      expect((await delegate.closed).code).to.equal(CloseCode.FrameTooLarge);
    });

    it('hold what they can of the tasks that are lost, and the next one holds the rest', async () => {
      const sentBytes: number[] = [];
      const { manager } = await start({
        maxFrameBytes: 4_096,
        onFrame: (direction, _id, text) => {
          if (direction === 'sent' && !text.includes('"welcome"')) sentBytes.push(Buffer.byteLength(text));
        },
      });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      const forgotten = moreThanFits();
      for (const ref of forgotten) delegate.accept(ref);
      const told: TaskRef[][] = [];
      do told.push(await delegate.beat());
      while (told.at(-1)?.length !== 0);
      expect(told.flat()).to.deep.equal(forgotten);
      expect(told).to.have.length.above(2);
      expect(Math.max(...sentBytes)).to.be.within(3_900, 4_096);
    });

    it('of unknown type are counted and ignored', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.sendRaw('{"type":"from.the.future","x":1}');
      await delegate.synchronise();
      expect(manager.sessions[0]?.unknownFrames).to.equal(1);
    });

    it('are shown to the observer as they crossed the wire, in both directions', async () => {
      const seen: string[] = [];
      const { manager } = await start({
        onFrame: (direction, _id, text) => seen.push(`${direction} ${text}`),
      });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.sendRaw('{"type":"odd",  "canary":1}');
      await delegate.synchronise();
      expect(seen).to.include('received {"type":"odd",  "canary":1}');
      expect(seen.some((text) => text.startsWith('sent {"type":"welcome"'))).to.equal(true);
    });
  });

  describe('heartbeats', () => {
    it('keep the session for as long as they come, and no longer than a lease', async () => {
      const clock = new ManualClock();
      const { manager } = await start({ clock });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      await clock.advance(29_000);
      expect(await delegate.beat()).to.deep.equal([]);
      await clock.advance(29_000);
      expect(manager.sessions).to.have.length(1);
      await clock.advance(1_000);
      expect((await delegate.closed).code).to.equal(CloseCode.Overdue);
    });
  });

  describe('of the same instance again', () => {
    it('takes over at hello; the late close of the older one touches nothing', async () => {
      const { manager, seen } = await start();
      const who = await enrol(manager);
      const { delegate: older, welcome: first } = await ScriptedDelegate.join(manager, who, 1);
      const { delegate: newer, welcome: second } = await ScriptedDelegate.join(manager, who, 1);
      expect((await older.closed).code).to.equal(CloseCode.Superseded);
      await seen(
        (event) => (event.type === 'session.closed' && event.sessionId === first.sessionId) || undefined,
      );

      expect(manager.sessions.map(({ sessionId }) => sessionId)).to.deep.equal([second.sessionId]);
      const { taskId } = manager.submit(readTask());
      expect(await newer.next('task.assign')).to.include({ taskId, attempt: 1 });
    });

    it('the later connection wins, not the later hello: one that a proxy held back is refused', async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      const earlier = await ScriptedDelegate.connect(manager, who);
      const { delegate: later, welcome } = await ScriptedDelegate.join(manager, who, 1);
      earlier.hello();
      expect((await earlier.closed).code).to.equal(CloseCode.Superseded);
      expect(earlier.unread('welcome')).to.equal(0);

      expect(manager.sessions.map(({ sessionId }) => sessionId)).to.deep.equal([welcome.sessionId]);
      manager.submit(readTask());
      await later.next('task.assign');
    });

    it('an earlier connection is welcome again once the later one is gone', async () => {
      const { manager, seen } = await start();
      const who = await enrol(manager);
      const earlier = await ScriptedDelegate.connect(manager, who);
      const { delegate: later } = await ScriptedDelegate.join(manager, who);
      await later.vanish();
      await seen((event) => event.type === 'session.closed' || undefined);
      earlier.hello();
      await earlier.next('welcome');
    });

    it('a connection that never said hello does not disturb it', async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      const { delegate } = await ScriptedDelegate.join(manager, who, 1);
      const silent = await ScriptedDelegate.connect(manager, who);
      await silent.vanish();
      manager.submit(readTask());
      await delegate.next('task.assign');
    });

    it('a dead process is followed by its successor at once', async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      const { delegate } = await ScriptedDelegate.join(manager, who, 1);
      await delegate.vanish();
      const { delegate: successor } = await ScriptedDelegate.join(manager, who, 1);
      manager.submit(readTask());
      await successor.next('task.assign');
    });
  });

  describe('leaving', () => {
    it('a delegate that drains gets no more tasks, but keeps its session', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 4);
      delegate.send({ type: 'draining', reason: 'upgrade', running: [] });
      await delegate.synchronise();
      manager.submit(readTask());
      await delegate.synchronise();
      expect(delegate.unread('task.assign')).to.equal(0);
      expect(manager.sessions[0]?.taking).to.equal('leaving');
    });

    it('a paused manager assigns nothing until it resumes, to those that come meanwhile either', async () => {
      const { manager } = await start();
      const { delegate: first } = await ScriptedDelegate.join(manager, await enrol(manager), 1);
      manager.pause('maintenance');
      const { delegate: second } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await Promise.all([first.next('pause'), second.next('pause')]);
      manager.submit(readTask());
      manager.submit(readTask());
      await Promise.all([first.synchronise(), second.synchronise()]);
      expect(first.unread('task.assign') + second.unread('task.assign')).to.equal(0);
      manager.resume();
      await Promise.all([first.next('resume'), second.next('resume')]);
      await Promise.all([first.next('task.assign'), second.next('task.assign')]);
    });

    it('a drained session is asked to move, and closed 1001 if it stays', async () => {
      const clock = new ManualClock();
      const { manager } = await start({ clock });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 1);
      manager.drain('rolling update', 2_000);
      expect(await delegate.next('drain')).to.include({ reconnectAfterMs: 2_000 });
      manager.submit(readTask());
      await delegate.synchronise();
      expect(delegate.unread('task.assign')).to.equal(0);
      await clock.advance(7_000);
      expect((await delegate.closed).code).to.equal(CloseCode.GoingAway);
    });

    it('a closing manager says drain, closes 1001 and leaves no timer behind', async () => {
      const clock = new ManualClock();
      const { manager } = await start({ clock });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 1);
      manager.submit(readTask());
      manager.submit(readTask());
      await delegate.next('task.assign');
      const silent = await ScriptedDelegate.connect(manager, await enrol(manager, 'eu-2'));
      await manager.close();
      await delegate.next('drain');
      expect((await delegate.closed).code).to.equal(CloseCode.GoingAway);
      expect((await silent.closed).code).to.equal(CloseCode.GoingAway);
      expect(clock.pending).to.equal(0);
    });

    it('a delegate that answers no close frame is cut off, and does not hold up the manager', async () => {
      const { manager } = await start();
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager));
      delegate.freeze();
      await manager.close();
      await delegate.vanish();
      expect(manager.sessions).to.deep.equal([]);
    });

    it('a revoked delegate is closed 4403', async () => {
      const { manager } = await start();
      const who = await enrol(manager);
      const { delegate } = await ScriptedDelegate.join(manager, who);
      expect(manager.revoke(who.delegateId)).to.equal(true);
      expect((await delegate.closed).code).to.equal(CloseCode.Revoked);
      expect(manager.revoke('nobody')).to.equal(false);
    });
  });
});
