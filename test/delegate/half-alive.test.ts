import { expect } from 'chai';
import { healthRoutes } from '../../src/observability/health.ts';
import { servePages, type PageServer } from '../../src/observability/http.ts';
import { LoopDelay } from '../../src/observability/loop-delay.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { turn, until } from '../support/until.ts';
import { delegatesUnderTest } from './delegate-under-test.ts';
import { assignOf, REF } from './frames.ts';
import { HEARTBEAT_MS, Room } from './room.ts';

/** What looks alive and is not, on either side; and what looks dead and is not. */

const MINUTE_MS = 60_000;
const HUGE_RESULT_CHARS = 50 * 1_048_576;
const HANDOVERS = 10_000;
const NEW_SESSION_EVERY = 1_000;

describe('a manager that answers heartbeats and has given up every task', () => {
  it('gets each slot back at the next heartbeat, and finds the delegate ready for work, ten times over', async () => {
    const room = new Room();
    const { transport } = await room.open();
    for (let n = 0; n < 10; n += 1) {
      const name = n % 2 === 0 ? 'test.read' : 'test.write';
      const ref = { taskId: `t-${n}`, attempt: 1 };
      transport.arrive(assignOf({ ...ref, name }));
      await room.clock.settle();
      transport.arrive({ type: 'accept.ack', ...ref });
      const work = await room.workshop.next();
      await room.clock.advance(HEARTBEAT_MS);
      const beat = transport.sentOf('heartbeat').at(-1);
      expect(beat?.running).to.deep.equal([ref]);
      transport.arrive({ type: 'heartbeat.ack', seq: beat?.seq ?? 0, lost: beat?.running ?? [] });
      await room.clock.settle();
      expect(work.context.signal.aborted).to.equal(true);
      expect(transport.sentOf('credit').at(-1)).to.deep.include({ granted: 4 + n + 1 });
    }
    expect(transport.sentOf('task.result')).to.deep.equal([]);
    expect(room.workload.running()).to.deep.equal([]);
    expect(transport.isOpen).to.equal(true);
    transport.cut();
  });
});

describe('an assign in the very tick in which the task before ends', () => {
  it(`is taken, and no result is lost, ${HANDOVERS} times`, async function () {
    this.timeout(60_000);
    const room = new Room({ capacity: 2 });
    let { transport } = await room.open();
    const ref = (n: number) => ({ taskId: `t-${n}`, attempt: 1 });
    transport.arrive(assignOf({ ...ref(0), name: 'test.read' }));
    for (let n = 0; n < HANDOVERS; n += 1) {
      const work = await room.workshop.next();
      if (n % NEW_SESSION_EVERY === 0) {
        transport.cut();
        ({ transport } = await room.open());
      }
      // By turns the frame is first, the end of the work, or neither by much.
      if (n % 2 === 0) transport.arrive(assignOf({ ...ref(n + 1), name: 'test.read' }));
      for (let turns = n % 3; turns > 0; turns -= 1) await turn();
      work.finish(n);
      if (n % 2 === 1) transport.arrive(assignOf({ ...ref(n + 1), name: 'test.read' }));
      await until('the result is sent', () => transport.sentOf('task.result').length === 1);
      expect(transport.sent.find(({ type }) => type === 'task.result')).to.include({ ...ref(n), output: n });
      transport.arrive({ type: 'result.ack', ...ref(n) });
      expect(transport.sentOf('task.reject')).to.deep.equal([]);
      transport.sent.length = 0;
    }
    transport.cut();
  });
});

describe('a delegate', () => {
  const start = delegatesUnderTest();
  let health: PageServer | undefined;
  afterEach(async () => {
    await health?.[Symbol.asyncDispose]();
    health = undefined;
  });
  leavesNothingOpen();

  it('whose manager is down for an hour lives on, is not ready, is not restarted, and recovers', async () => {
    const clock = new ManualClock();
    const { manager, delegate, log } = await start({ clock, random: () => 0.5 });
    const serving = await servePages({
      host: '127.0.0.1',
      port: 0,
      routes: healthRoutes({ readiness: () => delegate.readiness(), loopDelay: new LoopDelay() }),
      onFailure: () => {},
    });
    health = serving;
    const statuses = async (): Promise<number[]> => {
      const answers = await Promise.all(['/livez', '/readyz'].map((path) => fetch(serving.url + path)));
      await Promise.all(answers.map((answer) => answer.arrayBuffer()));
      return answers.map(({ status }) => status);
    };
    const connection = await manager.nextSession();
    expect(await statuses()).to.deep.equal([200, 200]);
    manager.script.upgrade = { status: 502 };
    connection.drop();
    await until('the delegate has noticed', () => !delegate.readiness().ready);
    for (let minute = 0; minute < 60; minute += 1) {
      await clock.advance(MINUTE_MS);
      if (minute % 10 === 0) expect(await statuses()).to.deep.equal([200, 503]);
    }
    expect(delegate.phase).to.equal('connecting');
    expect(
      log.filter((line) => line.includes('"to":"starting"') || line.includes('"to":"failed"')),
    ).to.deep.equal([]);
    manager.script.upgrade = 'accept';
    for (let second = 0; second < 60 && manager.connections.length === 1; second += 1)
      await clock.advance(1_000);
    await manager.nextSession();
    expect(await statuses()).to.deep.equal([200, 200]);
  });

  it('with a result of 50 MB says result-too-large, once, and goes on', async () => {
    const { manager, workshop } = await start({}, { ackResults: false });
    const connection = await manager.nextSession();
    connection.assign(REF, 'test.read');
    (await workshop.next()).finish('x'.repeat(HUGE_RESULT_CHARS));
    const result = await connection.next('task.result');
    expect(result).to.have.nested.property('error.code', 'result-too-large');
    await connection.synchronise();
    expect(connection.all('task.result')).to.have.lengthOf(1);
    connection.drop();
    const back = await manager.nextSession();
    expect(await back.next('task.result')).to.deep.equal(result);
    manager.script.ackResults = true;
    back.send({ type: 'result.ack', ...REF });
    back.assign({ taskId: 't-2', attempt: 1 }, 'test.echo', { input: 'small' });
    expect(await back.next('task.result')).to.include({ taskId: 't-2', output: 'small' });
  });
});
