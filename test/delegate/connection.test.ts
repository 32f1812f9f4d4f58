import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { decodeJwt } from 'jose';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { until } from '../support/until.ts';
import { delegatesUnderTest, ENROLMENT_TOKEN, failureCode, type UnderTest } from './delegate-under-test.ts';
import { REF } from './frames.ts';

/** Over real sockets: how the delegate comes by a connection, and what it does when it loses one. */

/** The waits that were announced, oldest first. */
function waits({ log }: UnderTest): number[] {
  return log.flatMap((line) => /"waitMs":(\d+)/.exec(line)?.[1] ?? []).map(Number);
}

function enrolled(delegateId: string) {
  return { status: 201, body: { delegateId } };
}

describe('the connection', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  it('begins with an enrolment, once, and a hello that says who it is and what it can do', async () => {
    const { manager } = await start();
    const first = await manager.nextSession();
    first.drop();
    await manager.nextSession();
    expect(manager.enrolments).to.have.lengthOf(1);
    const [hello] = first.all('hello');
    expect(hello).to.deep.include({
      tags: ['eu'],
      capabilities: ['test.capability'],
      capacity: 4,
      running: [],
      unacknowledged: [],
    });
    expect(hello?.delegate).to.include({ id: 'dlg-1', name: 'eu-1', version: '26.11.90100' });
    expect(hello?.tasks).to.deep.include({ name: 'test.write', version: 1, effect: 'writes' });
  });

  it('carries a fresh token each time', async () => {
    const { manager } = await start();
    (await manager.nextSession()).drop();
    await manager.nextSession();
    const [one, two] = manager.connectTokens.map((token) => decodeJwt(token));
    expect(one).to.include({ iss: 'dlg-1', aud: manager.url });
    expect(one?.jti).not.to.equal(two?.jti);
  });

  it('answered 401 enrols again at once, and goes on as whom the manager then says it is', async () => {
    const { manager } = await start({}, { upgrade: { status: 401 } });
    manager.script.enrolment = enrolled('dlg-1');
    await until('the first connect is refused', () => manager.connectTokens.length === 1);
    manager.script.enrolment = enrolled('dlg-2');
    manager.script.upgrade = 'accept';
    const { delegate } = await (await manager.nextConnection()).next('hello');
    expect(delegate.id).to.equal('dlg-2');
    expect(manager.enrolments).to.have.lengthOf(2);
    expect(manager.enrolments[1]?.instanceId).to.equal(manager.enrolments[0]?.instanceId);
    expect(manager.enrolments[1]?.publicKey).to.deep.equal(manager.enrolments[0]?.publicKey);
  });

  it('closed with 4401 tries a new connect token first, and enrols if that fails too', async () => {
    const { manager } = await start({}, { welcome: 'never' });
    (await manager.nextConnection()).close(4401);
    const second = await manager.nextConnection();
    expect(manager.enrolments).to.have.lengthOf(1);
    expect(manager.connectTokens[1]).to.not.equal(manager.connectTokens[0]);
    second.close(4401);
    await manager.nextConnection();
    expect(manager.enrolments).to.have.lengthOf(2);
  });

  it('answered 401 without a token to enrol with goes on trying with new connect tokens', async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'delegate-without-token-'));
    try {
      const first = await start({ stateDir });
      await first.manager.nextSession();
      await first.delegate.stop('it has enrolled', 0);
      const managerUrl = first.manager.url;
      first.manager.script.upgrade = { status: 401 };
      const before = first.manager.connectTokens.length;
      const second = await start({ stateDir, managerUrl, enrolmentToken: undefined });
      await until('it has tried twice', () => first.manager.connectTokens.length >= before + 2);
      expect(first.manager.enrolments).to.have.lengthOf(1);
      expect(second.delegate.phase).to.equal('connecting');
    } finally {
      await rm(stateDir, { recursive: true });
    }
  });

  it('is not even tried by a delegate that neither has enrolled nor has a token: it says so and ends', async () => {
    const { manager, ended, delegate } = await start({ enrolmentToken: undefined });
    expect(await ended()).to.have.property('code', 'enrolment-token-missing');
    expect(delegate.phase).to.equal('failed');
    expect(manager.connectTokens).to.deep.equal([]);
  });

  it('whose identity and token are both refused keeps trying both, the token at the slowest pace', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock }, { upgrade: { status: 401 } });
    const { manager } = underTest;
    await until('the first connect', () => manager.connectTokens.length === 1);
    manager.script.enrolment = { status: 401 };
    // Back-off is drawn as 0 here, and a manual clock waits even for that.
    while (manager.enrolments.length < 2) await clock.advance(0);
    await until('the token is refused', () => waits(underTest).at(-1) === 300_000);
    const connects = manager.connectTokens.length;
    await clock.advance(299_999);
    expect(manager.connectTokens).to.have.lengthOf(connects);
    manager.script.upgrade = 'accept';
    await clock.advance(1);
    await manager.nextSession();
  });

  for (const [status, why] of [
    [403, 'forbidden'],
    [426, 'no common version'],
  ] as const) {
    it(`answered ${status} (${why}) is tried again at the slowest pace, and says so loudly`, async () => {
      const clock = new ManualClock();
      const underTest = await start({ clock }, { upgrade: { status } });
      await until('it waits', () => waits(underTest).length === 1);
      expect(waits(underTest)).to.deep.equal([300_000]);
      expect(underTest.log.filter((line) => line.includes('"level":"error"'))).to.have.lengthOf(1);
      underTest.manager.script.upgrade = 'accept';
      await clock.advance(300_000);
      await underTest.manager.nextSession();
    });
  }

  for (const [status, headers, waitMs] of [
    [429, { 'retry-after': '7' }, 7_000],
    [503, { 'retry-after': '86400' }, 300_000],
    [503, {}, 0],
    [500, {}, 0],
  ] as const) {
    it(`answered ${status} ${JSON.stringify(headers)} is tried again in ${waitMs} ms`, async () => {
      const clock = new ManualClock();
      const underTest = await start({ clock }, { upgrade: { status, headers } });
      await until('it waits', () => waits(underTest).length === 1);
      expect(waits(underTest)).to.deep.equal([waitMs]);
      underTest.manager.script.upgrade = 'accept';
      await clock.advance(waitMs);
      await underTest.manager.nextSession();
    });
  }

  it('is not made with whatever answers 200 and a page', async () => {
    const { manager, log } = await start({}, { upgrade: { status: 200, body: '<html>Log in</html>' } });
    await until('it was tried', () => manager.connectTokens.length >= 2);
    manager.script.upgrade = 'accept';
    await manager.nextSession();
    expect(log.join('')).to.include('upgrade-refused').and.not.to.include('<html>');
  });

  it('follows no redirect, and takes its token nowhere else', async () => {
    const elsewhere = await start();
    const before = elsewhere.manager.connectTokens.length;
    const { manager } = await start(
      {},
      { upgrade: { status: 307, headers: { location: elsewhere.manager.url } } },
    );
    await until('it was tried again', () => manager.connectTokens.length >= 3);
    expect(elsewhere.manager.connectTokens.length).to.be.at.most(before + 1);
  });

  it('is given up after 15 s in which the upgrade is not answered', async () => {
    const clock = new ManualClock();
    const { manager, log } = await start({ clock }, { upgrade: 'never' });
    await until('it was asked for', () => manager.connectTokens.length === 1);
    await clock.advance(14_999);
    expect(log.join('')).not.to.include('manager-unreachable');
    manager.script.upgrade = 'accept';
    await clock.advance(1);
    await until('it waits', () => log.join('').includes('manager-unreachable'));
    await clock.advance(0);
    await manager.nextSession();
  });

  for (const [code, why] of [
    [1001, 'the node goes away'],
    [1012, 'the node restarts'],
    [4400, 'a frame was malformed'],
    [4408, 'a heartbeat was overdue'],
    [4999, 'a code of a later version'],
  ] as const) {
    it(`is made again after ${code} (${why})`, async () => {
      const { manager } = await start();
      (await manager.nextSession()).close(code);
      await manager.nextSession();
    });
  }

  for (const code of [4403, 4406, 4426]) {
    it(`is made again at the slowest pace after ${code}`, async () => {
      const clock = new ManualClock();
      const underTest = await start({ clock });
      (await underTest.manager.nextSession()).close(code);
      await until('it waits', () => waits(underTest).length === 1);
      expect(waits(underTest)).to.deep.equal([300_000]);
      expect(underTest.delegate.readiness()).to.include({ ready: false, phase: 'connecting' });
    });
  }

  it('is not fought over: 4409 ends the delegate as superseded, and its work with it', async () => {
    const underTest = await start();
    const connection = await underTest.manager.nextSession();
    connection.assign(REF, 'test.read');
    const work = await underTest.workshop.next();
    connection.close(4409);
    expect(await failureCode(underTest)).to.equal('superseded');
    expect(work.context.signal.aborted).to.equal(true);
    expect(underTest.delegate.phase).to.equal('failed');
    expect(underTest.manager.connections).to.have.lengthOf(1);
  });

  it('that stays frozen is found dead by its heartbeats, and made anew', async () => {
    const { manager } = await start({}, { welcome: { heartbeatMs: 20, leaseMs: 60 } });
    (await manager.nextSession()).freeze();
    await manager.nextSession();
  });

  it('whose heartbeats are not acknowledged is found dead, too', async () => {
    const clock = new ManualClock();
    const { manager } = await start({ clock }, { ackHeartbeats: false });
    const connection = await manager.nextSession();
    await clock.advance(10_000);
    expect((await connection.next('heartbeat')).seq).to.equal(0);
    await clock.advance(9_999);
    expect(connection.isOpen).to.equal(true);
    await clock.advance(1);
    await connection.closed();
    await clock.advance(0);
    await manager.nextSession();
  });

  it('that is flooded is read to the end, a part at a time', async () => {
    const { manager } = await start();
    const connection = await manager.nextSession();
    for (let n = 0; n < 20_000; n += 1) connection.sendRaw('{"type":"resume"}');
    await connection.synchronise();
    expect(connection.isOpen).to.equal(true);
  });

  it('is closed with 1009 at a frame that is too large', async () => {
    const { manager } = await start();
    const connection = await manager.nextSession();
    connection.sendRaw('x'.repeat(MAX_FRAME_BYTES + 1));
    expect(await connection.closed()).to.include({ code: 1009 });
    await manager.nextSession();
  });

  it('is closed with 4400 at a second welcome', async () => {
    const { manager } = await start();
    const connection = await manager.nextSession();
    connection.sendRaw(
      '{"type":"welcome","sessionId":"s","managerTime":"2026-11-23T13:10:35Z","heartbeatMs":1,"leaseMs":3,"maxFrameBytes":4096,"lost":[]}',
    );
    expect(await connection.closed()).to.include({ code: 4400 });
    await manager.nextSession();
  });

  it('backs off further with every session that does not last, and anew after a minute of health', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock, random: () => 0.5 });
    const { manager } = underTest;
    for (const expected of [500, 1_000, 2_000]) {
      (await manager.nextSession()).drop();
      await until('it waits', () => waits(underTest).at(-1) === expected);
      await clock.advance(expected);
    }
    const healthy = await manager.nextSession();
    await clock.advance(60_000);
    healthy.drop();
    await until('it waits', () => waits(underTest).length === 4);
    expect(waits(underTest)).to.deep.equal([500, 1_000, 2_000, 500]);
  });

  it('never shows a token in the log', async () => {
    const { manager, log } = await start();
    (await manager.nextSession()).drop();
    await manager.nextSession();
    for (const token of [ENROLMENT_TOKEN, ...manager.connectTokens]) {
      expect(log.join('')).not.to.include(token);
    }
  });
});

describe('a move to another node', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  it('opens the new session first, closes the old one with 1000, and disturbs nothing that runs', async () => {
    const { manager, workshop, delegate } = await start();
    const old = await manager.nextSession();
    old.assign(REF, 'test.read');
    const work = await workshop.next();
    old.send({ type: 'drain', reason: 'update', reconnectAfterMs: 0 });
    const next = await manager.nextSession();
    expect(next.all('hello')[0]?.running).to.deep.equal([REF]);
    expect((await old.closed()).code).to.equal(1000);
    // A goodbye would give up what runs.
    expect(old.all('goodbye')).to.deep.equal([]);
    expect(work.context.signal.aborted).to.equal(false);
    expect(delegate.readiness().ready).to.equal(true);
    work.finish('undisturbed');
    expect(await next.next('task.result')).to.include({ output: 'undisturbed' });
    expect(next.all('credit').map(({ granted }) => granted)).to.deep.equal([3, 4]);
  });

  it('waits a random part of the time that the manager gives', async () => {
    const clock = new ManualClock();
    const { manager } = await start({ clock, random: () => 0.25 });
    const old = await manager.nextSession();
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 40_000 });
    await old.synchronise();
    for (let seq = 0; clock.monotonic() < 9_999; seq += 1) await clock.advance(9_999);
    expect(manager.connections).to.have.lengthOf(1);
    await clock.advance(1);
    await manager.nextSession();
  });

  it('keeps the old session while the new node is not there', async () => {
    const { manager, workshop } = await start();
    const old = await manager.nextSession();
    manager.script.upgrade = { status: 503 };
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    await until('the move was tried', () => manager.connectTokens.length >= 3);
    old.assign(REF, 'test.read');
    (await workshop.next()).finish();
    expect(await old.next('task.result')).to.include({ outcome: 'succeeded' });
    manager.script.upgrade = 'accept';
    await manager.nextSession();
    expect((await old.closed()).code).to.equal(1000);
  });

  it('that loses the old session before the new node is there leaves the delegate not ready', async () => {
    const { manager, delegate } = await start();
    const old = await manager.nextSession();
    manager.script.upgrade = { status: 503 };
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    await until('the move was tried', () => manager.connectTokens.length >= 3);
    old.close(1001);
    await until('it is not ready', () => !delegate.readiness().ready);
    expect(delegate.readiness().reason).to.equal('no session with the manager');
    expect(delegate.snapshot().manager.session).to.equal(null);
    await until('it says that it has none', () => delegate.phase === 'connecting');
    manager.script.upgrade = 'accept';
    await manager.nextSession();
    expect(delegate.readiness().ready).to.equal(true);
  });

  it('does not wait for its time when the old session ends before', async () => {
    const { manager } = await start({ random: () => 0 });
    const old = await manager.nextSession();
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 300_000 });
    old.close(1001);
    await manager.nextSession();
  });

  it('does not overlook, while it waits, that another process has the identity', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock, random: () => 0.5 });
    const old = await underTest.manager.nextSession();
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 300_000 });
    await old.synchronise();
    old.close(4409);
    expect(await failureCode(underTest)).to.equal('superseded');
  });

  it('is as good when the manager closes the old session first, as superseded', async () => {
    const { manager, delegate } = await start();
    const old = await manager.nextSession();
    manager.script.welcome = 'never';
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    const next = await manager.nextConnection();
    await next.next('hello');
    old.close(4409);
    await old.closed();
    manager.script.welcome = {};
    next.send({
      type: 'welcome',
      sessionId: 's-2',
      managerTime: '2026-11-23T13:10:35Z',
      heartbeatMs: 10_000,
      leaseMs: 30_000,
      maxFrameBytes: MAX_FRAME_BYTES,
      lost: [],
    });
    await next.next('credit');
    await next.synchronise();
    expect(delegate.phase).to.equal('ready');
    next.assign(REF, 'test.echo', { input: 1 });
    expect(await next.next('task.result')).to.include({ output: 1 });
  });

  it('leaves an old session that hangs to its end, which touches the new one in nothing', async () => {
    const { manager } = await start();
    const old = await manager.nextSession();
    old.send({ type: 'drain', reason: '', reconnectAfterMs: 0 });
    await old.synchronise();
    old.freeze();
    const next = await manager.nextSession();
    next.assign(REF, 'test.echo', { input: 1 });
    expect(await next.next('task.result')).to.include({ output: 1 });
    expect((await next.next('credit')).granted).to.equal(5);
  });
});
