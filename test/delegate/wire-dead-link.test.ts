import { expect } from 'chai';
import type { ProxiedConnection } from '../support/fault-proxy.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import type { ManagerScript, ScriptedConnection } from '../support/scripted-manager.ts';
import { until } from '../support/until.ts';
import { REF } from './frames.ts';
import { redialling, waits, wiresUnderTest, type OnAWire } from './wire.ts';

/** Links that are dead without saying so. Each is found, its slot comes back, and its task has one result. */

const HEARTBEAT_MS = 50;
/** The lease outlasts every reconnect: what becomes of a lost one is told elsewhere. */
const QUICK = { welcome: { heartbeatMs: HEARTBEAT_MS, leaseMs: 10_000 } };
const second = { ...REF, attempt: 2 };

const DIRECTIONS = ['up', 'down'] as const;
const BLACK_HOLES = ['discard', 'stall'] as const;

/** The next result, once the delegate knows that it is acknowledged. */
async function resultOn(connection: ScriptedConnection) {
  const result = await connection.next('task.result');
  await connection.synchronise();
  return result;
}

/** Every result that any connection brought, oldest first. */
function results({ manager }: OnAWire) {
  return manager.connections.flatMap((connection) => connection.all('task.result'));
}

describe('a wire on which nothing comes through any more', () => {
  const startWire = wiresUnderTest();
  leavesNothingOpen();

  /** Time is in the hands of the test: by its own, two heartbeats could pass while a busy machine stands still. */
  async function start(script: Partial<ManagerScript> = {}, random = 0) {
    const clock = new ManualClock();
    const underTest = await startWire({ clock, random: () => random }, { ...QUICK, ...script });
    const redial = redialling(underTest, clock);
    return {
      ...underTest,
      clock,
      redial,
      /** Two heartbeats of silence, and the session that is made because of them. */
      nextAfterSilence: async (): Promise<ScriptedConnection> => {
        await clock.advance(2 * HEARTBEAT_MS);
        await redial();
        return await underTest.manager.nextSession();
      },
    };
  }

  for (const direction of DIRECTIONS) {
    for (const flow of BLACK_HOLES) {
      it(`(${direction}, ${flow}) is found dead at the end of two heartbeats of silence, and made anew`, async () => {
        const { manager, proxy, log, clock, redial } = await start();
        const first = await manager.nextSession();
        await clock.advance(HEARTBEAT_MS);
        await first.next('heartbeat');
        // Behind the acknowledgement: from it on the silence is counted.
        await first.synchronise();
        proxy.latest[direction].flow = flow;
        await clock.advance(2 * HEARTBEAT_MS - 1);
        expect(log.join('')).not.to.include('heartbeats are not acknowledged');
        await clock.advance(1);
        await redial();
        expect(log.join('')).to.include('heartbeats are not acknowledged');
        await manager.nextSession();
      });

      for (const name of ['test.read', 'test.write']) {
        it(`(${direction}, ${flow}) right after the accept costs ${name} neither its slot nor its one result`, async () => {
          const underTest = await start({ ackAccepts: false });
          const { manager, proxy, workshop, nextAfterSilence } = underTest;
          const first = await manager.nextSession();
          first.assign(REF, name);
          await first.next('task.accept');
          proxy.latest[direction].flow = flow;
          first.send({ type: 'accept.ack', ...REF });
          const next = await nextAfterSilence();
          expect(next.all('hello')[0]?.running).to.deep.equal([REF]);
          (await workshop.next()).finish('once');
          expect(await resultOn(next)).to.include({ ...REF, output: 'once' });
          // All four, and one for the unknown task that `synchronise` has sent.
          await until('the slot is back', () => next.all('credit').at(-1)?.granted === 5);
          expect(workshop.begun).to.have.lengthOf(1);
          expect(results(underTest)).to.have.lengthOf(1);
        });
      }
    }
  }

  it('leaves the delegate not ready for as long as there is no other', async () => {
    // Some back-off: where there is none, a manual clock stands still and sees attempts for ever.
    const underTest = await start({}, 0.5);
    const { manager, proxy, delegate, clock, redial } = underTest;
    await manager.nextSession();
    proxy.door = 'refuse';
    proxy.latest.down.flow = 'discard';
    await clock.advance(2 * HEARTBEAT_MS);
    await until('it is not ready', () => !delegate.readiness().ready);
    for (let attempt = 1; attempt <= 3; attempt += 1) await redial();
    await until('the third has failed, too', () => waits(underTest).length === 4);
    expect(delegate.readiness()).to.include({ ready: false, phase: 'connecting' });
    proxy.door = 'open';
    await redial();
    await manager.nextSession();
    expect(delegate.readiness().ready).to.equal(true);
  });

  it('in the middle of an assign loses the assign and nothing else: hello does not name it', async () => {
    const { manager, proxy, workshop, nextAfterSilence } = await start();
    const first = await manager.nextSession();
    const { down } = proxy.latest;
    const passed = down.bytes;
    down.amidNextFrame(() => (down.flow = 'discard'));
    first.assign(REF, 'test.read');
    await until('half of it is through', () => down.bytes > passed);
    const next = await nextAfterSilence();
    expect(next.all('hello')[0]?.running).to.deep.equal([]);
    next.assign(second, 'test.read');
    (await workshop.next()).finish();
    expect(await resultOn(next)).to.include({ ...second, outcome: 'succeeded' });
    expect(workshop.begun).to.have.lengthOf(1);
  });

  it('in the middle of a result has the whole result sent again', async () => {
    const underTest = await start();
    const { manager, proxy, workshop, nextAfterSilence } = underTest;
    const first = await manager.nextSession();
    first.assign(REF, 'test.read');
    const work = await workshop.next();
    const { up } = proxy.latest;
    const passed = up.bytes;
    up.amidNextFrame(() => (up.flow = 'stall'));
    work.finish('x'.repeat(10_000));
    await until('half of it is through', () => up.bytes > passed);
    await resultOn(await nextAfterSilence());
    expect(results(underTest)).to.have.lengthOf(1);
  });

  it('in the middle of a result and cut there has it sent again, too', async () => {
    const underTest = await start();
    const { manager, proxy, workshop, redial } = underTest;
    const first = await manager.nextSession();
    first.assign(REF, 'test.read');
    const work = await workshop.next();
    const connection = proxy.latest;
    connection.up.after(5_000, () => connection.cut());
    work.finish('x'.repeat(10_000));
    await redial();
    await resultOn(await manager.nextSession());
    expect(results(underTest)).to.have.lengthOf(1);
  });
});

describe('a wire that dies while it is made', () => {
  const start = wiresUnderTest();
  leavesNothingOpen();

  /** A delegate whose first session was cut while a task runs; the wire of the next one, and of no other, is arranged. */
  async function cutOnce(clock: ManualClock, arrange: (connection: ProxiedConnection) => void) {
    const underTest = await start({ clock });
    const { manager, proxy, workshop } = underTest;
    const first = await manager.nextSession();
    first.assign(REF, 'test.read');
    const work = await workshop.next();
    proxy.arrange = (connection) => {
      proxy.arrange = () => {};
      arrange(connection);
    };
    first.drop();
    await until('it waits', () => waits(underTest).length === 1);
    const before = proxy.connections.length;
    // Back-off is drawn as 0 here, and a manual clock waits even for that.
    await clock.advance(0);
    await until('it dials again', () => proxy.connections.length > before);
    return { ...underTest, work };
  }

  /** The connection that follows has a good wire, and the task its one result. */
  async function recovers(underTest: Awaited<ReturnType<typeof cutOnce>>, clock: ManualClock) {
    const { manager, work } = underTest;
    await until('it waits again', () => waits(underTest).length === 2);
    await clock.advance(0);
    await until('it is ready', () => underTest.delegate.readiness().ready);
    work.finish('once');
    const session = manager.connections.at(-1);
    if (session === undefined) throw new Error('it is connected');
    await resultOn(session);
    expect(session.all('hello')[0]?.running).to.deep.equal([REF]);
    expect(results(underTest)).to.have.lengthOf(1);
    expect(underTest.workshop.begun).to.have.lengthOf(1);
  }

  for (const direction of DIRECTIONS) {
    it(`during the upgrade (${direction}) is given up after 15 s`, async () => {
      const clock = new ManualClock();
      const underTest = await cutOnce(clock, (connection) => (connection[direction].flow = 'discard'));
      const { proxy, manager, log } = underTest;
      await until('it has asked', () => proxy.latest.up.recorded.includes('\r\n\r\n'));
      if (direction === 'down') await until('it is answered', () => manager.connections.length === 2);
      await clock.advance(14_999);
      expect(log.join('')).not.to.include('manager-unreachable');
      await clock.advance(1);
      await recovers(underTest, clock);
      expect(log.join('')).to.include('manager-unreachable');
    });
  }

  it('in the middle of hello is given up after 10 s, and a second for the close', async () => {
    const clock = new ManualClock();
    const underTest = await cutOnce(clock, ({ down }) => (down.flow = 'stall'));
    const { proxy, manager } = underTest;
    await until('it is answered', () => manager.connections.length === 2);
    const { up, down } = proxy.latest;
    const passed = up.bytes;
    up.amidNextFrame(() => (up.flow = 'discard'));
    down.flow = 'pass';
    await until('half of hello is through', () => up.bytes > passed);
    await clock.advance(10_000);
    expect(waits(underTest)).to.have.lengthOf(1);
    await clock.advance(1_000);
    await recovers(underTest, clock);
  });

  it('in the middle of welcome is given up in the same time', async () => {
    const clock = new ManualClock();
    const underTest = await cutOnce(clock, ({ down }) => (down.flow = 'stall'));
    const { proxy, manager } = underTest;
    manager.script.welcome = 'never';
    await until('it is answered', () => manager.connections.length === 2);
    const { down } = proxy.latest;
    down.flow = 'pass';
    const half = manager.connections[1];
    await half?.next('hello');
    const passed = down.bytes;
    down.amidNextFrame(() => (down.flow = 'discard'));
    half?.sendRaw(`{"type":"welcome","sessionId":"${'s'.repeat(200)}"`);
    await until('half of welcome is through', () => down.bytes > passed);
    manager.script.welcome = {};
    await clock.advance(10_000);
    await clock.advance(1_000);
    await recovers(underTest, clock);
  });
});

describe('a wire of poor quality', () => {
  const start = wiresUnderTest();
  leavesNothingOpen();

  for (const direction of DIRECTIONS) {
    it(`that is closed one way (${direction}) is made anew, and the task goes on`, async () => {
      const underTest = await start();
      const { manager, proxy, workshop } = underTest;
      const first = await manager.nextSession();
      first.assign(REF, 'test.read');
      const work = await workshop.next();
      proxy.latest[direction].end();
      const next = await manager.nextSession();
      work.finish('once');
      await resultOn(next);
      expect(results(underTest)).to.have.lengthOf(1);
    });
  }

  for (const flow of ['dribble', { delayMs: 15 }] as const) {
    it(`(${JSON.stringify(flow)}) carries a session from the first byte on, undisturbed`, async () => {
      const { manager, proxy } = await start();
      proxy.arrange = ({ up, down }) => {
        up.flow = flow;
        down.flow = flow;
      };
      (await manager.nextSession()).drop();
      const session = await manager.nextSession();
      session.assign(REF, 'test.echo', { input: 'x'.repeat(200) });
      await resultOn(session);
      expect(session.isOpen).to.equal(true);
    });
  }

  it('that is cut when idle for longer than a heartbeat is not disturbed', async () => {
    const clock = new ManualClock();
    const underTest = await start({ clock }, { welcome: { heartbeatMs: 100, leaseMs: 3_000 } });
    const { manager, proxy } = underTest;
    const redial = redialling(underTest, clock);
    const before = await manager.nextSession();
    proxy.clock = clock;
    proxy.idleMs = 150;
    before.drop();
    await redial();
    const session = await manager.nextSession();
    // More than fit into the time after which a silent connection is cut.
    for (let seq = 0; seq < 8; seq += 1) {
      await clock.advance(100);
      await session.next('heartbeat');
      await session.synchronise();
    }
    expect(session.isOpen).to.equal(true);
  });

  it('that is cut when idle for less than a heartbeat loses no result, and doubles no work', async () => {
    const underTest = await start({}, { welcome: { heartbeatMs: 10_000, leaseMs: 30_000 } });
    const { manager, proxy, workshop, log } = underTest;
    proxy.idleMs = 20;
    const refs = Array.from({ length: 4 }, (_, n) => ({ taskId: `t-${n}`, attempt: 1 }));
    (await manager.nextSession()).drop();
    const session = await manager.nextSession();
    for (const ref of refs) session.assign(ref, 'test.read');
    for (const ref of refs) {
      const cuts = manager.connections.length;
      await until('it was cut again', () => manager.connections.length > cuts);
      (await workshop.next()).finish(ref.taskId);
    }
    await until('all results are acknowledged', () => results(underTest).length >= refs.length);
    const outputs = new Set(
      results(underTest).map((result) => (result.outcome === 'succeeded' ? result.output : result.error)),
    );
    expect(outputs).to.deep.equal(new Set(refs.map(({ taskId }) => taskId)));
    expect(workshop.begun).to.have.lengthOf(refs.length);
    expect(log.filter((line) => line.includes('"session ended"')).length).to.be.at.least(refs.length);
  });
});
