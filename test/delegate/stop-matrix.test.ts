import { expect } from 'chai';
import type { TaskRef, ToManager } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { welcome, type ScriptedConnection } from '../support/scripted-manager.ts';
import { until, within } from '../support/until.ts';
import { delegatesUnderTest, type UnderTest } from './delegate-under-test.ts';
import { REF } from './frames.ts';
import type { Work } from './work.ts';

/** Every moment at which a delegate can be asked to leave, with everything that it can have in hand. */

const GRACE_MS = 25_000;
const FLUSH_MS = 1_500;
const HEARTBEAT_MS = 10_000;
const CROSSING: TaskRef = { taskId: 'crossing', attempt: 1 };

interface Scene extends UnderTest {
  readonly clock: ManualClock;
  readonly connection: ScriptedConnection;
}

/** The moment of a stop, monotonic, and its end. */
interface Stop {
  readonly at: number;
  readonly end: Promise<void>;
}

/** What the delegate has in hand, and what becomes of it. */
interface Load {
  readonly taskName: string | undefined;
  readonly ackResults: boolean;
  /** What happens within the grace. */
  readonly during: (scene: Scene, work: Work | undefined) => Promise<void>;
  /** From the stop on, with a manager that answers and with one that is gone. */
  readonly takesMs: { readonly answered: number; readonly alone: number };
  readonly results: readonly string[];
  /** In the goodbye. */
  readonly givenUp: { running: TaskRef[]; unacknowledged: TaskRef[] };
}

const none = { running: [], unacknowledged: [] };
const nothing = (): Promise<void> => Promise.resolve();

const LOADS: Readonly<Record<string, Load>> = {
  idle: {
    taskName: undefined,
    ackResults: true,
    during: nothing,
    takesMs: { answered: 0, alone: 0 },
    results: [],
    givenUp: none,
  },
  busy: {
    taskName: 'test.read',
    ackResults: true,
    async during({ clock }, work) {
      await clock.advance(2 * HEARTBEAT_MS);
      expect(work?.context.signal.aborted).to.equal(false);
      work?.finish('in time');
      await clock.settle();
    },
    takesMs: { answered: 2 * HEARTBEAT_MS, alone: 2 * HEARTBEAT_MS + FLUSH_MS },
    results: ['succeeded'],
    givenUp: none,
  },
  hung: {
    taskName: 'test.hung',
    ackResults: true,
    async during({ clock }, work) {
      await clock.advance(GRACE_MS - 1);
      expect(work?.context.signal.aborted).to.equal(false);
      await clock.advance(1);
      expect(work?.context.signal.aborted).to.equal(true);
    },
    takesMs: { answered: GRACE_MS + FLUSH_MS, alone: GRACE_MS + FLUSH_MS },
    results: [],
    givenUp: { running: [REF], unacknowledged: [] },
  },
  'left with a result that nobody acknowledges': {
    taskName: 'test.echo',
    ackResults: false,
    during: nothing,
    takesMs: { answered: FLUSH_MS, alone: FLUSH_MS },
    results: ['succeeded'],
    givenUp: { running: [], unacknowledged: [REF] },
  },
};

describe('leaving', () => {
  const start = delegatesUnderTest();
  leavesNothingOpen();

  for (const [name, load] of Object.entries(LOADS)) {
    describe(`a delegate that is ${name}`, () => {
      const isIdle = load.taskName === undefined;

      it('at a signal: draining, heartbeats, results, goodbye, close 1000', async () => {
        const { scene, work } = await begin(load);
        const stopped = leave(scene);
        if (!isIdle) {
          await scene.connection.next('draining');
          const reason = 'the delegate is leaving';
          expect(scene.delegate.readiness()).to.include({ ready: false, phase: 'draining', reason });
          scene.connection.assign(CROSSING, 'test.echo');
          expect(await scene.connection.next('task.reject')).to.include({ ...CROSSING, code: 'draining' });
        }
        await load.during(scene, work);
        await ends(scene, stopped, load.takesMs.answered);
        await hasLeft(scene, load);
        const afterDraining = typesAfter(scene.connection, 'draining');
        expect(afterDraining.filter((type) => type === 'goodbye')).to.have.lengthOf(1);
        expect(afterDraining.at(-1)).to.equal('goodbye');
        const beats = Math.floor(load.takesMs.answered / HEARTBEAT_MS);
        expect(afterDraining.filter((type) => type === 'heartbeat')).to.have.lengthOf(beats);
      });

      it("at the manager's word moves, and nothing in hand is disturbed", async () => {
        const { scene, work } = await begin(load);
        scene.connection.send({ type: 'drain', reason: 'upgrade', reconnectAfterMs: 0 });
        await scene.clock.settle();
        await scene.clock.advance(0);
        const next = await scene.manager.nextConnection();
        const hello = await next.next('hello');
        await scene.connection.closed();
        expect(hello.running).to.deep.equal(work === undefined ? [] : [REF]);
        expect(hello.unacknowledged).to.deep.equal(load.givenUp.unacknowledged);
        expect(work?.context.signal.aborted ?? false).to.equal(false);
        expect(scene.connection.all('goodbye')).to.deep.equal([]);
        work?.finish('moved');
        await until('it is ready', () => scene.delegate.readiness().ready);
        if (isIdle) return;
        expect(await next.next('task.result')).to.include({ ...REF, outcome: 'succeeded' });
        next.send({ type: 'result.ack', ...REF });
        await next.synchronise();
      });

      it("at a signal and the manager's word at once leaves once, in order", async () => {
        const { scene, work } = await begin(load);
        scene.connection.send({ type: 'drain', reason: 'upgrade', reconnectAfterMs: 0 });
        const stopped = leave(scene);
        await load.during(scene, work);
        await ends(scene, stopped, load.takesMs.answered);
        await hasLeft(scene, load);
      });

      it('at a signal while it reconnects leaves by the next session, if it needs one', async () => {
        const { scene, work } = await begin(load);
        scene.manager.script.upgrade = { status: 503 };
        scene.connection.drop();
        await until('the delegate has noticed', () => !scene.delegate.readiness().ready);
        const stopped = leave(scene);
        scene.manager.script.upgrade = 'accept';
        await scene.clock.settle();
        if (!isIdle) {
          await scene.clock.advance(0);
          const back = await scene.manager.nextConnection();
          await back.next('draining');
        }
        await load.during(scene, work);
        await ends(scene, stopped, load.takesMs.answered);
        if (!isIdle) await hasLeft(scene, load);
      });

      it('at a signal in the middle of a move leaves by the old session, and the new one is gone too', async () => {
        const { scene, work } = await begin(load);
        scene.manager.script.welcome = 'never';
        scene.connection.send({ type: 'drain', reason: 'upgrade', reconnectAfterMs: 0 });
        await scene.clock.settle();
        await scene.clock.advance(0);
        await (await scene.manager.nextConnection()).next('hello');
        const stopped = leave(scene);
        await load.during(scene, work);
        await ends(scene, stopped, load.takesMs.answered);
        await hasLeft(scene, load);
      });

      it('at a signal with the manager gone ends within its bounds, and the disk keeps its results', async () => {
        const { scene, work } = await begin(load);
        scene.manager.script.upgrade = 'never';
        scene.connection.drop();
        await until('the delegate has noticed', () => !scene.delegate.readiness().ready);
        const stopped = leave(scene);
        await load.during(scene, work);
        await ends(scene, stopped, load.takesMs.alone);
        expect(scene.delegate.phase).to.equal('stopped');
        const kept = scene.log.filter((line) => line.includes('the next start sends them again'));
        expect(kept).to.have.lengthOf(load.results.length);
        expect(kept.every((line) => line.includes('t-1#1'))).to.equal(true);
      });
    });
  }

  it('in the middle of a move goes on in the new session when that opens, and says goodbye there alone', async () => {
    const { scene, work } = await begin(LOADS['busy']);
    const { manager, connection, clock } = scene;
    manager.script.welcome = 'never';
    connection.send({ type: 'drain', reason: 'upgrade', reconnectAfterMs: 0 });
    await clock.settle();
    await clock.advance(0);
    const next = await manager.nextConnection();
    await next.next('hello');
    const stopped = leave(scene);
    await connection.next('draining');
    next.send(welcome());
    await next.next('draining');
    expect((await connection.closed()).code).to.equal(1000);
    work?.finish('moved');
    expect(await next.next('task.result')).to.include({ ...REF, outcome: 'succeeded' });
    await within('the stop', stopped.end);
    expect(connection.all('goodbye')).to.deep.equal([]);
    expect(next.all('goodbye')).to.have.lengthOf(1);
  });

  async function begin(load: Load | undefined): Promise<{ scene: Scene; work: Work | undefined }> {
    if (load === undefined) throw new Error('there is no such load');
    const clock = new ManualClock();
    const underTest = await start({ clock, shutdownGraceMs: GRACE_MS }, { ackResults: load.ackResults });
    const connection = await underTest.manager.nextSession();
    const scene = { ...underTest, clock, connection };
    if (load.taskName === undefined) return { scene, work: undefined };
    connection.assign(REF, load.taskName, { timeoutMs: 10 * GRACE_MS });
    if (load.taskName !== 'test.echo') return { scene, work: await underTest.workshop.next() };
    await connection.next('task.result');
    return { scene, work: undefined };
  }
});

/** Asks the delegate to leave, as a signal does. */
function leave({ delegate, clock }: Scene): Stop {
  return { at: clock.monotonic(), end: delegate.stop('SIGTERM') };
}

/** Turns the clock by what the stop may take, less what has passed, and no further. */
async function ends(scene: Scene, { at, end }: Stop, withinMs: number): Promise<void> {
  const { clock, workshop } = scene;
  await clock.advance(at + withinMs - clock.monotonic());
  await within('the stop', end);
  expect(await scene.ended()).to.equal(undefined);
  workshop.finishAll();
  await clock.settle();
  expect(clock.pending).to.equal(0);
}

/** One goodbye, behind everything else, by a connection that was closed in order; and no credit since the stop. */
async function hasLeft({ manager, connection }: Scene, load: Load): Promise<void> {
  const [last, ...others] = manager.connections.filter(({ received }) => types(received).includes('goodbye'));
  if (last === undefined) throw new Error('nobody was told goodbye');
  expect(others).to.deep.equal([]);
  expect((await last.closed()).code).to.equal(1000);
  expect(last.received.at(-1)).to.deep.include({ type: 'goodbye', ...load.givenUp });
  for (const one of manager.connections) {
    await one.closed();
    // By the first one it was granted before; one that came later is the connection of a delegate that leaves.
    const granted = one === connection ? typesAfter(one, 'draining') : types(one.received);
    expect(granted).to.not.include('credit');
  }
  const results = manager.connections.flatMap((one) => one.all('task.result'));
  // Sent again on each connection: the same one, that is.
  expect([...new Set(results.map(({ outcome }) => outcome))]).to.deep.equal(load.results);
}

function types(frames: readonly ToManager[]): string[] {
  return frames.map(({ type }) => type);
}

/** What followed the frame; nothing did if it was never sent. */
function typesAfter({ received }: ScriptedConnection, type: ToManager['type']): string[] {
  const at = types(received).indexOf(type);
  return at === -1 ? [] : types(received.slice(at + 1));
}
