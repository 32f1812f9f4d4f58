import { expect } from 'chai';
import { compactVerify, importJWK } from 'jose';
import { createMemoryStore } from '../../src/manager/manager.ts';
import { enrolResponseSchema } from '../../src/protocol/enrolment.ts';
import { inputHash, taskSignatureClaimsSchema } from '../../src/protocol/task-signature.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { endingOf, managersUnderTest, readTask } from './support/manager-under-test.ts';
import {
  createIdentity,
  enrol,
  enrolBody,
  postEnrol,
  ScriptedDelegate,
} from './support/scripted-delegate.ts';
import { managerWithDelegate } from './support/with-delegate.ts';

describe('a task', () => {
  const start = managersUnderTest();

  const startWithDelegate = (credit: number) => managerWithDelegate(start, credit);

  leavesNothingOpen();

  describe('is assigned', () => {
    it('as far as credit goes, oldest first, and not one further', async () => {
      const { manager, delegate } = await startWithDelegate(2);
      const ids = [1, 2, 3].map((n) => manager.submit(readTask({ input: { n } })).taskId);
      await delegate.synchronise();
      expect(delegate.unread('task.assign')).to.equal(2);
      expect((await delegate.next('task.assign')).taskId).to.equal(ids[0]);
      expect((await delegate.next('task.assign')).taskId).to.equal(ids[1]);
      delegate.send({ type: 'credit', granted: 3 });
      expect((await delegate.next('task.assign')).taskId).to.equal(ids[2]);
      delegate.send({ type: 'credit', granted: 3 });
      await delegate.synchronise();
      expect(delegate.unread('task.assign')).to.equal(0);
    });

    it('again with a higher attempt when nobody answers in time; the late accept is lost', async () => {
      const { manager, delegate, clock } = await startWithDelegate(2);
      const { taskId } = manager.submit(readTask());
      const first = await delegate.next('task.assign');
      await clock.advance(5_000);
      const second = await delegate.next('task.assign');
      expect([first.attempt, second.attempt]).to.deep.equal([1, 2]);
      delegate.accept(first);
      delegate.accept(second);
      expect(await delegate.next('accept.ack')).to.include({ taskId, attempt: 2 });
      expect(await delegate.beat([first, second])).to.deep.equal([{ taskId, attempt: 1 }]);
    });

    it('to another delegate first, when one does not answer', async () => {
      const { manager, delegate, clock } = await startWithDelegate(4);
      const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await other.synchronise();
      manager.submit(readTask());
      await delegate.next('task.assign');
      await clock.advance(5_000);
      expect((await other.next('task.assign')).attempt).to.equal(2);
    });

    it('fails when offers come to nothing again and again', async () => {
      const { manager, clock, delegate } = await startWithDelegate(100);
      const { taskId } = manager.submit(readTask());
      for (let offer = 1; offer <= 20; offer += 1) {
        await clock.advance(5_000);
        await delegate.beat();
      }
      expect(endingOf(manager.task(taskId)).error?.code).to.equal('not-accepted');
    });
  });

  describe('that is running', () => {
    it('keeps its lease by the heartbeats that list it, and loses it without', async () => {
      const { manager, delegate, clock } = await startWithDelegate(2);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      await delegate.next('accept.ack');
      await clock.advance(25_000);
      expect(await delegate.beat([assign])).to.deep.equal([]);
      await clock.advance(25_000);
      expect(manager.task(taskId)?.attempt).to.equal(1);
      // This one does not list it, so the lease runs from the one before.
      expect(await delegate.beat([])).to.deep.equal([]);
      await clock.advance(5_000);
      expect((await delegate.next('task.assign')).attempt).to.equal(2);
      expect(await delegate.beat([assign])).to.deep.equal([{ taskId, attempt: 1 }]);
    });

    it('fails after three lost leases, and tells the story', async () => {
      const { manager, delegate, clock } = await startWithDelegate(9);
      const { taskId } = manager.submit(readTask());
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const assign = await delegate.next('task.assign');
        expect(assign.attempt).to.equal(attempt);
        delegate.accept(assign);
        await delegate.next('accept.ack');
        await clock.advance(15_000);
        await delegate.beat();
        await clock.advance(15_000);
        await delegate.beat();
      }
      const { outcome, error } = endingOf(manager.task(taskId));
      expect(outcome).to.equal('failed');
      expect(error?.code).to.equal('lease-expired');
      expect(error?.message).to.contain('attempt 1 at eu-1 (26.11.90100)').and.contain('attempt 3');
    });

    it('is given to another delegate when its own is gone for a lease', async () => {
      const { manager, delegate, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      await delegate.next('accept.ack');
      await delegate.vanish();
      const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await clock.advance(20_000);
      await other.beat();
      await clock.advance(10_000);
      const again = await other.next('task.assign');
      expect(again).to.include({ taskId, attempt: 2 });
      other.accept(again);
      other.succeed(again);
      await other.next('result.ack');
      expect(endingOf(manager.task(taskId)).holder?.name).to.equal('eu-2');
    });

    it('shows the youngest progress, whatever order it comes in', async () => {
      const { manager, delegate } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      const { attempt } = await delegate.next('task.assign');
      delegate.accept({ taskId, attempt });
      delegate.send({ type: 'task.progress', taskId, attempt, seq: 2, message: 'half' });
      delegate.send({ type: 'task.progress', taskId, attempt, seq: 1, message: 'begun' });
      delegate.send({ type: 'task.progress', taskId, attempt: 9, seq: 3, message: 'from nowhere' });
      await delegate.synchronise();
      expect(manager.task(taskId)?.progress).to.include({ seq: 2, message: 'half' });
    });
  });

  describe('across a reconnect', () => {
    it('goes on when hello names it as running, though its accept was lost in the cut', async () => {
      const { manager, who, delegate, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      await delegate.vanish();
      const { delegate: back, welcome } = await ScriptedDelegate.join(manager, who, 0, {
        running: [{ taskId, attempt: 1 }],
      });
      expect(welcome.lost).to.deep.equal([]);
      await clock.advance(6_000);
      expect(manager.task(taskId)?.state.at).to.equal('running');
      back.succeed(assign);
      expect(await back.next('result.ack')).to.include({ taskId, attempt: 1 });
    });

    it('was not received when hello does not name it, and is assigned again at once', async () => {
      const { manager, who, delegate } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      await delegate.next('task.assign');
      await delegate.vanish();
      const { delegate: back } = await ScriptedDelegate.join(manager, who, 1);
      expect(await back.next('task.assign')).to.include({ taskId, attempt: 2 });
    });

    it('is named as lost when it was given up meanwhile', async () => {
      const { manager, who, delegate, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      delegate.accept(await delegate.next('task.assign'));
      await delegate.next('accept.ack');
      await delegate.vanish();
      await clock.advance(30_000);
      const foreign = { taskId: 'of-another-manager', attempt: 1 };
      const { welcome } = await ScriptedDelegate.join(manager, who, 0, {
        running: [{ taskId, attempt: 1 }, foreign],
      });
      expect(welcome.lost).to.deep.equal([{ taskId, attempt: 1 }, foreign]);
    });

    it('ends by its result even after the lease, as long as no higher attempt was made', async () => {
      const { manager, who, delegate, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      await delegate.next('accept.ack');
      await delegate.vanish();
      await clock.advance(31_000);
      const { delegate: back } = await ScriptedDelegate.join(manager, who, 0, {
        unacknowledged: [{ taskId, attempt: 1 }],
      });
      back.succeed(assign);
      await back.next('result.ack');
      expect(endingOf(manager.task(taskId)).outcome).to.equal('succeeded');
    });

    for (const begun of [false, true]) {
      it(`is handed on at goodbye when the delegate ${begun ? 'gives it up' : 'never got it'}`, async () => {
        const { manager, delegate } = await startWithDelegate(9);
        const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
        await other.synchronise();
        const { taskId } = manager.submit(readTask());
        const assign = await delegate.next('task.assign');
        if (begun) delegate.accept(assign);
        const running = begun ? [{ taskId, attempt: 1 }] : [];
        delegate.send({ type: 'goodbye', reason: 'stop', running, unacknowledged: [] });
        expect(await other.next('task.assign')).to.include({ taskId, attempt: 2 });
      });
    }

    it('stays with a delegate that says goodbye while its result is not acknowledged', async () => {
      const { manager, delegate } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      delegate.accept(await delegate.next('task.assign'));
      delegate.send({
        type: 'goodbye',
        reason: 'stop',
        running: [],
        unacknowledged: [{ taskId, attempt: 1 }],
      });
      await delegate.synchronise();
      expect(manager.task(taskId)?.state.at).to.equal('running');
    });

    it('survives a restart of the manager on the same store', async () => {
      const store = createMemoryStore();
      const { manager: before } = await start({ store });
      const who = await enrol(before);
      const { delegate } = await ScriptedDelegate.join(before, who, 1);
      const { taskId } = before.submit(readTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      await delegate.next('accept.ack');
      await before.close();
      const { manager: after } = await start({ store });
      const { delegate: back, welcome } = await ScriptedDelegate.join(after, who, 0, {
        unacknowledged: [{ taskId, attempt: 1 }],
      });
      expect(welcome.lost).to.deep.equal([]);
      back.succeed(assign);
      back.succeed(assign);
      await back.next('result.ack');
      await back.next('result.ack');
      expect(endingOf(after.task(taskId)).outcome).to.equal('succeeded');
      expect(after.task(taskId)?.history.filter(({ what }) => what === 'ended')).to.have.length(1);
    });
  });

  describe('that ends', () => {
    it('takes the first result alone, acknowledges every copy, and names who did it', async () => {
      const { manager, delegate, who } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      const assign = await delegate.next('task.assign');
      delegate.accept(assign);
      delegate.succeed(assign, 'first');
      delegate.succeed(assign, 'second');
      await delegate.next('result.ack');
      await delegate.next('result.ack');
      const ending = endingOf(manager.task(taskId));
      expect(ending.output).to.equal('first');
      expect(ending.holder).to.deep.equal({ delegateId: who.delegateId, name: 'eu-1', version: who.version });
    });

    it('acknowledges, and does not count, results that are stale, foreign or unknown', async () => {
      const { manager, delegate, clock } = await startWithDelegate(2);
      const { delegate: stranger } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'));
      const { taskId } = manager.submit(readTask());
      const first = await delegate.next('task.assign');
      await clock.advance(5_000);
      const second = await delegate.next('task.assign');
      delegate.succeed(first);
      expect(await delegate.next('result.ack')).to.include({ taskId, attempt: 1 });
      stranger.succeed(second);
      await stranger.next('result.ack');
      delegate.succeed({ taskId: 'never-made', attempt: 1 });
      expect(await delegate.next('result.ack')).to.include({ taskId: 'never-made' });
      expect(manager.task(taskId)?.state.at).to.equal('offered');
    });

    for (const outcome of ['failed', 'cancelled', 'unknown'] as const) {
      it(`${outcome} is not tried again by the scheduler, retryable or not`, async () => {
        const { manager, delegate } = await startWithDelegate(2);
        const { taskId } = manager.submit(readTask());
        const assign = await delegate.next('task.assign');
        delegate.fail(assign, { code: 'servicenow.unavailable', retryable: true }, outcome);
        await delegate.next('result.ack');
        await delegate.synchronise();
        expect(endingOf(manager.task(taskId)).outcome).to.equal(outcome);
        expect(delegate.unread('task.assign')).to.equal(0);
      });
    }

    it('fails by itself when it does not fit into a frame', async () => {
      const { manager } = await start({ maxFrameBytes: 4_096 });
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager), 1);
      await delegate.synchronise();
      const { taskId } = manager.submit(readTask({ input: 'x'.repeat(5_000) }));
      expect(endingOf(manager.task(taskId)).error?.code).to.equal('input-not-sendable');
    });
  });

  describe('that is rejected', () => {
    for (const code of ['no-credit', 'draining', 'outbox-full', 'stale-attempt'] as const) {
      it(`with ${code} goes to another delegate, or waits before it comes back`, async () => {
        const { manager, delegate, clock } = await startWithDelegate(9);
        const { taskId } = manager.submit(readTask());
        const { attempt } = await delegate.next('task.assign');
        delegate.send({
          type: 'task.reject',
          taskId,
          attempt,
          code,
          message: 'not now',
          retryAfterMs: 3_000,
        });
        await delegate.synchronise();
        expect(delegate.unread('task.assign')).to.equal(0);
        await clock.advance(3_000);
        expect(await delegate.next('task.assign')).to.include({ taskId, attempt: 2 });
      });
    }

    it('for good goes to another delegate, and fails with the last code when nobody is left', async () => {
      const { manager, delegate } = await startWithDelegate(9);
      const { delegate: other } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'), 1);
      await other.synchronise();
      const { taskId } = manager.submit(readTask());
      const first = await delegate.next('task.assign');
      const code = 'policy-denied';
      delegate.send({
        type: 'task.reject',
        taskId,
        attempt: first.attempt,
        code,
        message: 'table not allowed',
      });
      const second = await other.next('task.assign');
      other.send({ type: 'task.reject', taskId, attempt: second.attempt, code, message: 'nor here' });
      await other.synchronise();
      const { error } = endingOf(manager.task(taskId));
      expect(error).to.include({ code: 'policy-denied', category: 'policy', retryable: false });
      expect(error?.message).to.contain('eu-2').and.contain('nor here');
    });

    it('without end fails after twenty offers', async () => {
      const { manager, delegate, clock } = await startWithDelegate(100);
      const { taskId } = manager.submit(readTask());
      for (let attempt = 1; attempt <= 20; attempt += 1) {
        await delegate.next('task.assign');
        delegate.send({ type: 'task.reject', taskId, attempt, code: 'outbox-full', message: 'full' });
        await delegate.synchronise();
        await clock.advance(1_000);
      }
      expect(endingOf(manager.task(taskId)).error?.code).to.equal('outbox-full');
    });
  });

  describe('without a delegate', () => {
    it('waits, and fails with the selectors and whoever is connected', async () => {
      const { manager, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask({ selectors: ['us', 'blue'] }));
      await clock.advance(29_000);
      expect(manager.task(taskId)?.state.at).to.equal('waiting');
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'));
      await clock.advance(20_000);
      await delegate.beat();
      await clock.advance(11_000);
      const { error } = endingOf(manager.task(taskId));
      expect(error).to.include({ code: 'no-delegate', retryable: true });
      expect(error?.message).to.equal(
        'Waited 60000 ms: no connected delegate has the tags us, blue; connected: eu-2 26.11.90100 [eu-2, eu]',
      );
    });

    it('fails with the words of the delegate that refused it, when the only other one has left', async () => {
      const { manager, delegate, clock } = await startWithDelegate(1);
      const { delegate: full } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-2'));
      await full.synchronise();
      const { taskId } = manager.submit(readTask());
      const { attempt } = await delegate.next('task.assign');
      delegate.send({ type: 'task.reject', taskId, attempt, code: 'policy-denied', message: 'not allowed' });
      await delegate.synchronise();
      expect(manager.task(taskId)?.state.at).to.equal('waiting');
      await Promise.all([full.vanish(), delegate.vanish()]);
      await clock.advance(60_000);
      expect(endingOf(manager.task(taskId)).error?.code).to.equal('policy-denied');
    });

    it('is assigned as soon as one comes', async () => {
      const { manager } = await start();
      const { taskId } = manager.submit(readTask({ selectors: [' EU-7 '] }));
      const { delegate } = await ScriptedDelegate.join(manager, await enrol(manager, 'eu-7'), 1);
      expect((await delegate.next('task.assign')).taskId).to.equal(taskId);
    });
  });

  describe('behind a version gate', () => {
    const gated = readTask({
      input: { connector: { spec: { auth: { type: 'RefreshTokenGrantType', spec: {} } } } },
    });
    const capable = { capabilities: ['servicenow.auth.RefreshTokenGrantType'] };

    it('goes to the new delegate while the old one goes on with everything else', async () => {
      const { manager } = await start();
      const old = await enrol(manager, 'eu-1', '23.06.79812');
      const { delegate: older } = await ScriptedDelegate.join(manager, old, 9);
      const { delegate: newer } = await ScriptedDelegate.join(
        manager,
        await enrol(manager, 'eu-2'),
        1,
        capable,
      );
      await Promise.all([older.synchronise(), newer.synchronise()]);
      const { taskId } = manager.submit(gated);
      expect((await newer.next('task.assign')).taskId).to.equal(taskId);
      const plain = manager.submit(readTask());
      expect((await older.next('task.assign')).taskId).to.equal(plain.taskId);
    });

    it('fails at once, naming the requirement and every version, when only old ones are there', async () => {
      const { manager } = await start();
      const old = await enrol(manager, 'eu-1', '23.06.79812');
      const { delegate } = await ScriptedDelegate.join(manager, old, 1);
      await delegate.synchronise();
      const { error } = endingOf(manager.submit(gated));
      expect(error).to.include({
        code: 'delegate-too-old',
        message: 'OIDC refresh token needs delegate build 79900 or higher; connected: eu-1 23.06.79812',
      });
      expect(delegate.unread('task.assign')).to.equal(0);
    });
  });

  describe('that is cancelled', () => {
    it('ends at once while it waits', async () => {
      const { manager } = await start();
      const { taskId } = manager.submit(readTask());
      manager.cancel(taskId, 'not needed');
      const { outcome, error } = endingOf(manager.task(taskId));
      expect(outcome).to.equal('cancelled');
      expect(error?.message).to.equal('not needed');
    });

    it('ends by the result of its delegate, also one that had already succeeded', async () => {
      const { manager, delegate } = await startWithDelegate(2);
      const [one, two] = [manager.submit(readTask()), manager.submit(readTask())];
      const first = await delegate.next('task.assign');
      const second = await delegate.next('task.assign');
      manager.cancel(one.taskId, 'stop');
      manager.cancel(two.taskId, 'stop');
      expect(await delegate.next('task.cancel')).to.include({
        taskId: one.taskId,
        attempt: 1,
        reason: 'stop',
      });
      delegate.fail(first, { code: 'cancelled', retryable: false }, 'cancelled');
      delegate.succeed(second);
      await delegate.synchronise();
      expect(endingOf(manager.task(one.taskId)).outcome).to.equal('cancelled');
      expect(endingOf(manager.task(two.taskId)).outcome).to.equal('succeeded');
    });

    it('is cancelled after the reconnect of a delegate that was away, and never assigned again', async () => {
      const { manager, who, delegate, clock } = await startWithDelegate(1);
      const { taskId } = manager.submit(readTask());
      delegate.accept(await delegate.next('task.assign'));
      await delegate.next('accept.ack');
      await delegate.vanish();
      manager.cancel(taskId, 'stop');
      const { delegate: back } = await ScriptedDelegate.join(manager, who, 1, {
        running: [{ taskId, attempt: 1 }],
      });
      expect(await back.next('task.cancel')).to.include({ taskId });
      await clock.advance(30_000);
      expect(endingOf(manager.task(taskId)).outcome).to.equal('cancelled');
      expect(back.unread('task.assign')).to.equal(0);
    });
  });

  it('is refused when ten thousand are open, and forgotten when a thousand younger ones have ended', async () => {
    const { manager } = await start();
    const first = manager.submit(readTask());
    manager.cancel(first.taskId, 'the oldest');
    for (let n = 0; n < 1_000; n += 1) manager.cancel(manager.submit(readTask()).taskId, 'done');
    expect(manager.task(first.taskId)).to.equal(undefined);
    expect(manager.tasks).to.have.length(1_000);
    for (let n = 0; n < 10_000; n += 1) manager.submit(readTask());
    expect(() => manager.submit(readTask()))
      .to.throw()
      .with.property('code', 'too-many-tasks');
  });

  it('is signed with a key that enrolment handed out, when the manager signs', async () => {
    const { manager } = await start({ signTasks: true });
    const identity = await createIdentity();
    const token = manager.createEnrolmentToken().value.reveal();
    const answer = enrolResponseSchema.parse((await postEnrol(manager, token, enrolBody(identity))).body);
    const who = { ...identity, delegateId: answer.delegateId };
    const { delegate } = await ScriptedDelegate.join(manager, who, 1);
    const { taskId } = manager.submit(readTask({ input: { b: 1, a: [2] } }));
    const { signature = '' } = await delegate.next('task.assign');
    const { x = '' } = answer.taskSigningKeys?.keys[0] ?? {};
    const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x }, 'EdDSA');
    const { payload } = await compactVerify(signature, key);
    const claims = taskSignatureClaimsSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
    expect(claims).to.include({
      taskId,
      attempt: 1,
      delegateId: who.delegateId,
      inputHash: inputHash({ a: [2], b: 1 }),
    });
  });
});
