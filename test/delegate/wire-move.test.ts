import { expect } from 'chai';
import type { ProxiedConnection } from '../support/fault-proxy.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { welcome, type ScriptedConnection } from '../support/scripted-manager.ts';
import { until } from '../support/until.ts';
import { REF } from './frames.ts';
import { wiresUnderTest, type OnAWire } from './wire.ts';

const MOVE_NOW = { type: 'drain', reason: 'update', reconnectAfterMs: 0 } as const;

function allResults({ manager }: OnAWire): string[] {
  return manager.connections
    .flatMap((connection) => connection.all('task.result'))
    .map(({ taskId }) => taskId);
}

/** Work can be had on this session, and its slots are counted right. */
async function serves(session: ScriptedConnection): Promise<void> {
  const granted = session.all('credit').at(-1)?.granted ?? 0;
  session.assign({ taskId: 'probe', attempt: 1 }, 'test.echo', { input: 'served' });
  for (;;) {
    const result = await session.next('task.result');
    if (result.taskId !== 'probe') continue;
    expect(result).to.include({ output: 'served' });
    break;
  }
  await until('the slot is free again', () => session.all('credit').at(-1)?.granted === granted + 1);
  await session.synchronise();
}

describe('an old wire that dies after the new one is there', () => {
  const start = wiresUnderTest();
  leavesNothingOpen();

  /** The manager closes the old session, and the wire carries that when the new one has long been there. */
  async function closeLate(wire: ProxiedConnection, old: ScriptedConnection, code: number): Promise<void> {
    const { bytes } = wire.down;
    old.close(code);
    wire.down.flow = 'pass';
    await until('the close is through', () => wire.down.bytes > bytes);
  }

  type Death = (wire: ProxiedConnection, old: ScriptedConnection) => Promise<void>;
  const deaths: [how: string, die: Death][] = [
    [
      'by a reset',
      async (wire) => {
        wire.cut();
        await wire.clientClosed;
      },
    ],
    [
      'by an end',
      async (wire) => {
        wire.end();
        await wire.clientClosed;
      },
    ],
    ['by 4409, which is of the old session alone', (wire, old) => closeLate(wire, old, 4409)],
    ['by 4401', (wire, old) => closeLate(wire, old, 4401)],
  ];
  for (const [how, die] of deaths) {
    it(`(${how}) touches the new session in nothing`, async () => {
      const underTest = await start();
      const { manager, proxy, delegate, workshop } = underTest;
      const old = await manager.nextSession();
      const oldWire = proxy.latest;
      old.assign(REF, 'test.write');
      const work = await workshop.next();
      old.send(MOVE_NOW);
      await old.synchronise();
      // What the old wire still carries comes late, and the delegate's close of it is not heard.
      oldWire.up.flow = 'discard';
      oldWire.down.flow = 'stall';
      const session = await manager.nextSession();
      await die(oldWire, old);
      await serves(session);
      expect(work.context.signal.aborted).to.equal(false);
      expect(delegate.readiness()).to.include({ ready: true, phase: 'ready' });
      work.finish();
      await session.next('task.result');
      await session.synchronise();
      expect(manager.connections).to.have.lengthOf(2);
      expect(manager.enrolments).to.have.lengthOf(1);
    });
  }
});

describe('a move from wire to wire', () => {
  const start = wiresUnderTest();
  leavesNothingOpen();

  it('disturbs no task that runs, no result that waits and no assign on its way, and does nothing twice', async () => {
    const underTest = await start({}, { ackResults: false });
    const { manager, workshop } = underTest;
    const old = await manager.nextSession();
    const [running, waiting, coming] = ['running', 'waiting', 'coming'].map((taskId) => ({
      taskId,
      attempt: 1,
    }));
    if (running === undefined || waiting === undefined || coming === undefined)
      throw new Error('they are three');
    old.assign(running, 'test.write');
    const runningWork = await workshop.next();
    old.assign(waiting, 'test.echo', { input: 'waited' });
    const before = await old.next('task.result');

    manager.script.welcome = 'never';
    old.send(MOVE_NOW);
    const next = await manager.nextConnection();
    const hello = await next.next('hello');
    expect([hello.running, hello.unacknowledged]).to.deep.equal([[running], [waiting]]);
    // Sent before the old manager knew of the move; hello could not name it.
    old.assign(coming, 'test.write');
    const comingWork = await workshop.next();
    next.send(welcome({ sessionId: 's-2' }));

    expect((await next.next('credit')).granted).to.equal(2);
    expect(await next.next('task.result')).to.deep.equal(before);
    expect((await old.closed()).code).to.equal(1000);
    expect(runningWork.context.signal.aborted || comingWork.context.signal.aborted).to.equal(false);
    manager.script.ackResults = true;
    next.send({ type: 'result.ack', ...waiting });
    runningWork.finish();
    await next.next('task.result');
    comingWork.finish();
    await next.next('task.result');
    await next.synchronise();
    expect(workshop.begun).to.have.lengthOf(2);
    expect(allResults(underTest)).to.deep.equal(['waiting', 'waiting', 'running', 'coming']);
    // Two slots came back, and the unknown task of `synchronise` cost a third.
    expect(next.all('credit').at(-1)?.granted).to.equal(5);
  });

  it('that is asked for in the very moment of a reconnect leads on to the next node', async () => {
    const underTest = await start();
    const { manager, workshop, proxy } = underTest;
    const first = await manager.nextSession();
    first.assign(REF, 'test.write');
    const work = await workshop.next();
    manager.script.welcome = 'never';
    proxy.cutAll();
    const leaving = await manager.nextConnection();
    await leaving.next('hello');
    manager.script.welcome = {};
    leaving.send(welcome({ sessionId: 's-2' }));
    leaving.send(MOVE_NOW);
    const last = await manager.nextSession();
    expect(last.all('hello')[0]?.running).to.deep.equal([REF]);
    expect((await leaving.closed()).code).to.equal(1000);
    work.finish();
    expect(await last.next('task.result')).to.include({ ...REF, outcome: 'succeeded' });
    await serves(last);
    expect(workshop.begun).to.have.lengthOf(1);
  });

  it('whose old wire is cut before the new one is there waits for one, not ready, and loses nothing', async () => {
    const underTest = await start();
    const { manager, workshop, proxy, delegate } = underTest;
    const old = await manager.nextSession();
    old.assign(REF, 'test.read');
    const work = await workshop.next();
    proxy.door = 'refuse';
    const { accepted } = proxy;
    old.send(MOVE_NOW);
    await until('the move was tried', () => proxy.accepted > accepted);
    expect(delegate.readiness().ready).to.equal(true);
    proxy.cutAll();
    await until('it is not ready', () => !delegate.readiness().ready);
    work.finish('kept');
    proxy.door = 'open';
    const session = await manager.nextSession();
    expect(await session.next('task.result')).to.include({ output: 'kept' });
    await serves(session);
    expect(allResults(underTest)).to.deep.equal([REF.taskId, 'probe']);
  });

  it('that is asked for twice is one move, and a second node may ask for another', async () => {
    const underTest = await start();
    const { manager, workshop } = underTest;
    const first = await manager.nextSession();
    first.assign(REF, 'test.write');
    const work = await workshop.next();
    first.send(MOVE_NOW);
    first.send(MOVE_NOW);
    const next = await manager.nextSession();
    next.send(MOVE_NOW);
    const last = await manager.nextSession();
    expect((await first.closed()).code).to.equal(1000);
    expect((await next.closed()).code).to.equal(1000);
    await serves(last);
    expect(work.context.signal.aborted).to.equal(false);
    work.finish();
    await last.next('task.result');
    await last.synchronise();
    expect(manager.connections).to.have.lengthOf(3);
  });
});
