import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { createMemoryStore } from '../../src/manager/manager.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { managersUnderTest } from './support/manager-under-test.ts';
import { createIdentity, enrol, enrolBody, postEnrol } from './support/scripted-delegate.ts';

describe('enrolling with the manager', () => {
  const start = managersUnderTest();
  const idOf = (body: unknown): string => z.object({ delegateId: z.string() }).parse(body).delegateId;

  leavesNothingOpen();

  it('gives an identity, and no task-signing keys when the manager does not sign', async () => {
    const { manager } = await start();
    const token = manager.createEnrolmentToken().value.reveal();
    const { status, body } = await postEnrol(manager, token, enrolBody(await createIdentity()));
    expect(status).to.equal(201);
    expect(body).to.have.all.keys('delegateId');
  });

  it('gives the same key the same identity, so a lost answer costs nothing', async () => {
    const { manager } = await start();
    const token = manager.createEnrolmentToken({ singleUse: true }).value.reveal();
    const identity = await createIdentity();
    const first = await postEnrol(manager, token, enrolBody(identity));
    const again = await postEnrol(manager, token, enrolBody(identity));
    expect(again.status).to.equal(201);
    expect(idOf(again.body)).to.equal(idOf(first.body));
    expect(manager.delegates).to.have.length(1);
  });

  it('is refused 401 to a second key with a token for one, and open to both with a token for many', async () => {
    const { manager } = await start();
    for (const [singleUse, expected] of [
      [true, 401],
      [false, 201],
    ] as const) {
      const token = manager.createEnrolmentToken({ singleUse }).value.reveal();
      await postEnrol(manager, token, enrolBody(await createIdentity()));
      const { status } = await postEnrol(manager, token, enrolBody(await createIdentity()));
      expect(status).to.equal(expected);
    }
  });

  it('by two keys at once, with a token for one, succeeds for one alone', async () => {
    const { manager } = await start();
    const token = manager.createEnrolmentToken().value.reveal();
    const identities = await Promise.all([createIdentity(), createIdentity()]);
    const answers = await Promise.all(identities.map((who) => postEnrol(manager, token, enrolBody(who))));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([201, 401]);
  });

  it('is refused 401 with a wrong token, and with one that has expired', async () => {
    const clock = new ManualClock();
    const { manager } = await start({ clock });
    const body = enrolBody(await createIdentity());
    expect((await postEnrol(manager, 'wrong', body)).status).to.equal(401);
    const token = manager.createEnrolmentToken({ expiresInMs: 1_000 }).value.reveal();
    await clock.advance(1_000);
    expect((await postEnrol(manager, token, body)).status).to.equal(401);
  });

  it('is refused 403 once revoked', async () => {
    const { manager } = await start();
    const who = await enrol(manager);
    manager.revoke(who.delegateId);
    const token = manager.createEnrolmentToken().value.reveal();
    expect((await postEnrol(manager, token, enrolBody(who))).status).to.equal(403);
  });

  it('is refused 409 for an instance that has another key', async () => {
    const { manager } = await start();
    const { instanceId } = await enrol(manager);
    const token = manager.createEnrolmentToken().value.reveal();
    const impostor = { ...enrolBody(await createIdentity()), instanceId };
    expect((await postEnrol(manager, token, impostor)).status).to.equal(409);
  });

  it('is refused 429 with Retry-After after many wrong tokens, until the window has passed', async () => {
    const clock = new ManualClock();
    const { manager } = await start({ clock });
    const body = enrolBody(await createIdentity());
    for (let n = 0; n < 20; n += 1) expect((await postEnrol(manager, 'wrong', body)).status).to.equal(401);
    const token = manager.createEnrolmentToken().value.reveal();
    const throttled = await postEnrol(manager, token, body);
    expect(throttled.status).to.equal(429);
    expect(Number(throttled.headers.get('retry-after'))).to.be.within(1, 60);
    await clock.advance(60_000);
    expect((await postEnrol(manager, token, body)).status).to.equal(201);
  });

  const wrongBodies: readonly (readonly [string, (good: object) => unknown, number])[] = [
    ['is not JSON', () => '{', 400],
    ['has a field that is wrong', (good) => ({ ...good, version: 'new' }), 400],
    [
      'carries a private key',
      (good) => ({ ...good, publicKey: { kty: 'OKP', crv: 'Ed25519', d: 'x' } }),
      400,
    ],
    ['is too large', () => 'x'.repeat(16_385), 413],
  ];
  for (const [what, change, status] of wrongBodies) {
    it(`is refused ${status} when the body ${what}`, async () => {
      const { manager } = await start();
      const token = manager.createEnrolmentToken().value.reveal();
      const body = change(enrolBody(await createIdentity()));
      expect((await postEnrol(manager, token, body)).status).to.equal(status);
    });
  }

  it('is kept with its signing key across a restart on the same store', async () => {
    const store = createMemoryStore();
    const { manager: before } = await start({ store, signTasks: true });
    const token = before.createEnrolmentToken({ singleUse: false }).value.reveal();
    const identity = await createIdentity();
    const first = await postEnrol(before, token, enrolBody(identity));
    await before.close();
    const { manager: after } = await start({ store, signTasks: true });
    const again = await postEnrol(after, token, { ...enrolBody(identity), instanceId: randomUUID() });
    expect(again.body).to.deep.equal(first.body);
    expect(again.body).to.have.property('taskSigningKeys');
  });
});
