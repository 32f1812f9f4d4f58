import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { rotationRequest } from '../../src/delegate/state/rotation-request.ts';
import { Secret } from '../../src/kit/secret.ts';
import { createMemoryStore, type Manager, type ManagerOptions } from '../../src/manager/manager.ts';
import { api } from '../manager/support/http.ts';
import { endingOf, managersUnderTest, readTask } from '../manager/support/manager-under-test.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { REVOCATION, type HttpAnswer } from '../support/scripted-manager.ts';
import { tempDirs } from '../support/temp-dir.ts';
import { until, within } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';

/** Both real sides: who trusts whom, and for how long. */

const signingKeysSchema = z.object({
  signingKeys: z.array(z.object({ kid: z.string(), retiredAt: z.string().nullable(), signs: z.boolean() })),
});

const problemSchema = z.object({ error: z.object({ code: z.string() }) });

const HOUR_MS = 3_600_000;

function enrolledWith(...signingKeys: string[]): HttpAnswer {
  const keys = signingKeys.map((letter) => ({ kty: 'OKP', crv: 'Ed25519', x: letter.repeat(43) }));
  const taskSigningKeys = keys.length === 0 ? {} : { taskSigningKeys: { keys } };
  return { status: 201, body: { delegateId: 'dlg-1', ...taskSigningKeys } };
}

describe('a delegate and its manager', () => {
  const newManager = managersUnderTest();
  const tempDir = tempDirs();
  const newDelegate = delegatesUnderTest();
  leavesNothingOpen();

  const ended = (manager: Manager, taskId: string) =>
    within('the task to end', manager.whenEnded(taskId, new AbortController().signal));

  it('agree on a new key when the operator asks for it, and nothing that runs is disturbed', async () => {
    const stateDir = await tempDir();
    const { manager } = await newManager();
    const enrolmentToken = manager.createEnrolmentToken().value;
    const first = await newDelegate({ managerUrl: manager.url, enrolmentToken, stateDir });
    await until('it is ready', () => first.delegate.readiness().ready);
    const [before] = manager.delegates;
    await first.delegate.stop('asked for by the operator', 0);
    await first.ended();

    await rotationRequest(stateDir).make();
    const { delegate, workshop, log } = await newDelegate({ managerUrl: manager.url, stateDir });
    const { taskId } = manager.submit(readTask({ name: 'test.write' }));
    const work = await workshop.next();
    await until('the new key is the key', () => manager.delegates[0]?.thumbprint !== before?.thumbprint);
    await until('the old one is gone', () => log.some((line) => line.includes('the old one is gone')));
    expect(manager.delegates).to.have.length(1);
    expect(manager.delegates[0])
      .to.include({ delegateId: before?.delegateId })
      .and.not.to.have.property('nextKey');
    expect(work.context.signal.aborted).to.equal(false);
    work.finish('done');
    expect(endingOf(await ended(manager, taskId))).to.include({ output: 'done' });
    expect(delegate.readiness().ready).to.equal(true);
    await until('the wish is granted', () => !existsSync(join(stateDir, 'rotate-key')));
  });

  it('agree on a new key when the old one is too old', async () => {
    const clock = new ManualClock();
    const { manager } = await newManager({ clock, heartbeatMs: 10 * HOUR_MS, leaseMs: 30 * HOUR_MS });
    const enrolmentToken = manager.createEnrolmentToken().value;
    const own = { managerUrl: manager.url, clock, stateDir: await tempDir(), keyRotationMs: HOUR_MS / 2 };
    const first = await newDelegate({ ...own, enrolmentToken });
    const path = join(own.stateDir, 'identity.json');
    await until('the age counts', () => existsSync(path) && readFileSync(path, 'utf8').includes('keySince'));
    const [before] = manager.delegates;
    await first.delegate.stop('for an hour', 0);
    await first.ended();
    await clock.advance(HOUR_MS);
    await newDelegate(own);
    // The next connect waits for the clock, if only for nothing.
    await until('it has a new key', () => {
      void clock.advance(0);
      return manager.delegates[0]?.thumbprint !== before?.thumbprint;
    });
  });

  describe('that signs its tasks', () => {
    async function signing(options: ManagerOptions = {}) {
      const { manager } = await newManager({ signTasks: true, ...options });
      const enrolmentToken = manager.createEnrolmentToken().value;
      const stateDir = await tempDir();
      const own = { managerUrl: manager.url, enrolmentToken, stateDir, requireSignedTasks: true };
      return { manager, own };
    }

    async function call(manager: Manager, method: string, path = '') {
      const { status, body } = await api(manager, method, `/api/v1/task-signing-keys${path}`);
      if (status < 300) return { status, keys: signingKeysSchema.parse(body).signingKeys };
      return { status, keys: [], code: problemSchema.parse(body).error.code };
    }

    async function runs(manager: Manager): Promise<string> {
      const { taskId } = manager.submit(readTask({ name: 'test.echo' }));
      const ending = endingOf(await ended(manager, taskId));
      return ending.error === undefined ? ending.outcome : `${ending.error.code}: ${ending.error.message}`;
    }

    it('go from one signing key to the next without a task lost', async () => {
      const { manager, own } = await signing();
      const { delegate } = await newDelegate(own);
      await until('it is ready', () => delegate.readiness().ready);
      expect(await runs(manager)).to.equal('succeeded');
      const [first] = (await call(manager, 'GET')).keys;
      const two = await call(manager, 'POST');
      expect(two.status).to.equal(201);
      expect(two.keys.map(({ signs }) => signs)).to.deep.equal([true, false]);
      expect(await runs(manager)).to.equal('succeeded');
      const one = await call(manager, 'DELETE', `/${first?.kid}`);
      expect(one.keys.map(({ signs }) => signs)).to.deep.equal([false, true]);
      expect(await runs(manager)).to.equal('succeeded');
    });

    it('find together again after changes that the delegate has slept through', async () => {
      const { manager, own } = await signing();
      const first = await newDelegate(own);
      await until('it is ready', () => first.delegate.readiness().ready);
      await first.delegate.stop('the night', 0);
      await first.ended();
      for (let n = 0; n < 2; n += 1) {
        const { keys } = await call(manager, 'POST');
        await call(manager, 'DELETE', `/${keys.find(({ signs }) => signs)?.kid}`);
      }
      await newDelegate({ ...own, enrolmentToken: undefined });
      expect(await runs(manager)).to.equal('succeeded');
    });

    it('keep to the keys of the operator, whatever the manager says of its own', async () => {
      const { manager, own } = await signing();
      const keysOfEnrolment = manager.delegates;
      expect(keysOfEnrolment).to.deep.equal([]);
      const { keys } = await call(manager, 'GET');
      const operators = { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), kid: keys[0]?.kid } as const;
      const { delegate } = await newDelegate({
        ...own,
        taskSigningKeys: () => Promise.resolve([{ kty: operators.kty, crv: operators.crv, x: operators.x }]),
      });
      await until('it is ready', () => delegate.readiness().ready);
      await call(manager, 'POST');
      expect(await runs(manager)).to.match(/signature is not by a known key/);
    });

    it('let nobody replace the signing keys by another enrolment without a word', async () => {
      const { delegate, manager, log } = await newDelegate(
        { enrolmentToken: () => new Secret('enrolment-token-for-tests') },
        { enrolment: enrolledWith('A') },
      );
      await until('it is ready', () => delegate.readiness().ready);
      const told = () => log.filter((line) => line.includes('has replaced the task-signing keys'));
      const enrolAgain = async (enrolment: HttpAnswer): Promise<void> => {
        const enrolments = manager.enrolments.length;
        const session = await manager.nextSession();
        manager.script.enrolment = enrolment;
        manager.script.upgrade = { status: 401 };
        session.drop();
        await until('it enrols again', () => manager.enrolments.length > enrolments);
        manager.script.upgrade = 'accept';
      };
      await enrolAgain(enrolledWith('A'));
      await enrolAgain(enrolledWith());
      await until('it is told', () => told().length > 0);
      expect(told()).to.have.length(1);
      expect(manager.enrolments).to.have.length(3);
    });

    it('let go of no last key, and of none that is not there', async () => {
      const { manager } = await signing();
      const [only] = (await call(manager, 'GET')).keys;
      expect(await call(manager, 'DELETE', `/${only?.kid}`)).to.include({
        status: 409,
        code: 'last-signing-key',
      });
      expect(await call(manager, 'DELETE', '/none')).to.include({
        status: 404,
        code: 'signing-key-not-found',
      });
      for (let n = 1; n < 16; n += 1) expect((await call(manager, 'POST')).status).to.equal(201);
      expect(await call(manager, 'POST')).to.include({ status: 409, code: 'too-many-signing-keys' });
      const { manager: unsigned } = await newManager();
      expect(await call(unsigned, 'GET')).to.include({ status: 409, code: 'tasks-are-not-signed' });
    });
  });

  describe('of which the manager revokes the delegate', () => {
    it('end at once: the work is aborted, tokens are forgotten, and what came of it waits', async () => {
      const clock = new ManualClock();
      const store = createMemoryStore();
      const { manager } = await newManager({ store, clock, heartbeatMs: 600_000, leaseMs: 1_800_000 });
      const enrolmentToken = manager.createEnrolmentToken().value;
      let forgotten = 0;
      const forgetTokens = (): void => void (forgotten += 1);
      const own = { managerUrl: manager.url, enrolmentToken, clock, forgetTokens };
      const { delegate, workshop, log } = await newDelegate(own);
      await until('it is ready', () => delegate.readiness().ready);
      const reads = manager.submit(readTask({ name: 'test.read', timeoutMs: 1_000_000 }));
      const writes = manager.submit(readTask({ name: 'test.write', timeoutMs: 1_000_000 }));
      const works = [await workshop.next(), await workshop.next()];
      await until('both run', () => manager.tasks.every(({ state }) => state.at === 'running'));
      const [record] = manager.delegates;
      manager.revoke(record?.delegateId ?? '');
      await until('all is aborted', () => works.every(({ context }) => context.signal.aborted));
      await until('it waits', () => log.some((line) => line.includes('"waitMs":300000')));
      expect(forgotten).to.be.at.least(1);
      expect(delegate.readiness()).to.deep.include({
        ready: false,
        reason: 'the manager has revoked this delegate',
      });
      expect(log.some((line) => line.includes('"level":"error"'))).to.equal(true);

      // Taken back by whoever owns the manager: nothing of what was done is lost.
      if (record !== undefined) store.delegates.put(record.delegateId, record);
      await clock.advance(300_000);
      await until('it is back', () => delegate.readiness().ready);
      expect(endingOf(await ended(manager, writes.taskId))).to.deep.include({ outcome: 'unknown' });
      expect(endingOf(await ended(manager, reads.taskId)).error?.code).to.equal('revoked-while-running');
    });

    for (const at of ['connect', 'enrolment'] as const) {
      it(`say so by 403 at ${at} as well`, async () => {
        const script = at === 'connect' ? { upgrade: REVOCATION } : { enrolment: REVOCATION };
        let forgotten = 0;
        const forgetTokens = (): void => void (forgotten += 1);
        const { delegate, log } = await newDelegate({ clock: new ManualClock(), forgetTokens }, script);
        await until('it waits', () => log.some((line) => line.includes('"waitMs":300000')));
        expect(forgotten).to.equal(1);
        expect(delegate.readiness()).to.include({ reason: 'the manager has revoked this delegate' });
      });
    }

    const strangers: [what: string, answer: Omit<HttpAnswer, 'status'>][] = [
      ['a page', { body: '<html>Blocked by the firewall.</html>' }],
      ['nothing', {}],
      ['JSON of another make', { body: { error: 'revoked', code: 'revoked' } }],
      ['more than a manager has to say', { body: { ...REVOCATION.body, more: 'x'.repeat(8_192) } }],
    ];
    for (const [what, answer] of strangers) {
      it(`is told by no 403 with ${what}: the work goes on, and its result is sent`, async () => {
        const clock = new ManualClock();
        let forgotten = 0;
        const forgetTokens = (): void => void (forgotten += 1);
        const { delegate, manager, workshop, log } = await newDelegate({ clock, forgetTokens });
        const session = await manager.nextSession();
        session.assign({ taskId: 't-1', attempt: 1 }, 'test.read', { timeoutMs: 1_000_000 });
        const work = await workshop.next();
        manager.script.upgrade = { ...answer, status: 403 };
        session.drop();
        await until('it waits', () => {
          void clock.advance(0);
          return log.some((line) => line.includes('"waitMs":300000'));
        });
        expect(work.context.signal.aborted).to.equal(false);
        expect(forgotten).to.equal(0);
        expect(delegate.readiness()).to.include({ reason: 'no session with the manager' });
        work.finish('done');
        manager.script.upgrade = 'accept';
        await clock.advance(300_000);
        const result = await (await manager.nextSession()).next('task.result');
        expect(result).to.include({ outcome: 'succeeded', output: 'done' });
      });
    }
  });

  describe('of which the manager knows the delegate no more', () => {
    async function forgottenWith(enrolmentToken: Secret | (() => Secret | undefined)) {
      const underTest = await newDelegate({ enrolmentToken });
      const { manager } = underTest;
      const session = await manager.nextSession();
      manager.script.upgrade = { status: 401 };
      session.drop();
      await until('it was refused often', () => manager.connectTokens.length > 4);
      return underTest;
    }

    it('need a new start if the token was a value: it is let go of with the first session', async () => {
      const { manager } = await forgottenWith(new Secret('enrolment-token-for-tests'));
      expect(manager.enrolments).to.have.length(1);
    });

    it('enrol again if the token is in a file, which is read when it is needed', async () => {
      let reads = 0;
      const { manager } = await forgottenWith(() => {
        reads += 1;
        return new Secret('enrolment-token-for-tests');
      });
      await until('it enrols again', () => manager.enrolments.length > 1);
      expect(reads).to.be.at.least(2);
    });
  });
});
