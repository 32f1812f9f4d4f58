import { expect } from 'chai';
import * as fc from 'fast-check';
import { pino } from 'pino';
import { runConnectionLoop, type OpenSession } from '../../src/delegate/connection/connection-loop.ts';
import { ManagerRefusal } from '../../src/delegate/connection/manager-refusal.ts';
import { SessionNotOpened, type Session } from '../../src/delegate/connection/session.ts';
import { deferred } from '../../src/kit/flow.ts';
import type { Clock } from '../../src/kit/time.ts';
import { retryAfterMs } from '../../src/kit/http-exchange.ts';
import type { AfterClose } from '../../src/protocol/close-codes.ts';
import { MAX_TIMEOUT_MS, MAX_WAIT_MS, RECONNECT_CAP_MS } from '../../src/protocol/limits.ts';
import type { MemoryTransport } from '../support/memory-transport.ts';
import { turn, until, within } from '../support/until.ts';
import { assignOf, REF } from './frames.ts';
import { HEARTBEAT_MS, LEASE_MS, Room } from './room.ts';
import { waits } from './wire.ts';

/** What the connection does over hours and weeks, and when the wall clock jumps: with a clock that a test turns. */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The loop of a room, with sessions over memory that the test can end. */
class Loop implements AsyncDisposable {
  readonly room = new Room();
  readonly transports: MemoryTransport[] = [];
  /** Monotonic, of each attempt. */
  readonly attempts: number[] = [];
  up = true;
  session: Session | undefined;
  readonly #end: Promise<unknown>;

  constructor(random: () => number, heartbeatMs = HEARTBEAT_MS) {
    const { room } = this;
    const open = async (): Promise<Session> => {
      this.attempts.push(room.clock.monotonic());
      if (!this.up) throw new Error('nobody is there');
      const { session, transport } = await room.open({ heartbeatMs, leaseMs: 3 * heartbeatMs });
      this.transports.push(transport);
      return session;
    };
    const onSession = (session: Session | undefined): void => {
      this.session = session;
    };
    this.#end = runConnectionLoop(
      {
        open,
        onSession,
        onNotAuthenticated: () => {},
        onRevoked: () => {},
        onFailure: () => {},
        onWait: () => {},
        clock: room.clock,
        random,
        log: room.log,
      },
      room.abort.signal,
    ).catch((error: unknown) => error);
  }

  get waits(): number[] {
    return waits({ log: this.room.logged });
  }

  get latest(): MemoryTransport {
    const transport = this.transports.at(-1);
    if (transport === undefined) throw new Error('there was no session');
    return transport;
  }

  async opened(sessions: number): Promise<void> {
    await until(`session ${sessions} is open`, () => this.transports.length === sessions);
    await until('it is known', () => this.session !== undefined);
  }

  /** Time goes on, and the manager acknowledges every heartbeat. */
  async live(ms: number, heartbeatMs: number): Promise<void> {
    for (let lived = 0; lived < ms; lived += heartbeatMs) {
      await this.room.clock.advance(heartbeatMs);
      const beat = this.latest.sentOf('heartbeat').at(-1);
      if (beat !== undefined) this.latest.arrive({ type: 'heartbeat.ack', seq: beat.seq, lost: [] });
    }
    await this.room.clock.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.room.abort.abort(new Error('the test is over'));
    for (const transport of this.transports) transport.cut();
    await within('the loop to end', this.#end);
  }
}

describe('a manager that accepts and drops', () => {
  it('is met with ever longer waits, 20 times in a row; only a healthy minute begins them anew', async () => {
    await using loop = new Loop(() => 0.5);
    const { clock } = loop.room;
    for (let cut = 1; cut <= 20; cut += 1) {
      await loop.opened(cut);
      await clock.advance(SECOND_MS);
      loop.latest.cut(1006);
      await until('it waits', () => loop.waits.length === cut);
      await clock.advance(loop.waits.at(-1) ?? 0);
    }
    const ceilings = Array.from({ length: 20 }, (_, n) => Math.min(RECONNECT_CAP_MS, SECOND_MS * 2 ** n));
    expect(loop.waits).to.deep.equal(ceilings.map((ceiling) => ceiling / 2));

    await loop.opened(21);
    await loop.live(MINUTE_MS - HEARTBEAT_MS, HEARTBEAT_MS);
    await clock.advance(HEARTBEAT_MS - 1);
    loop.latest.cut(1006);
    await until('it waits', () => loop.waits.length === 21);
    expect(loop.waits.at(-1)).to.equal(RECONNECT_CAP_MS / 2);
    await clock.advance(RECONNECT_CAP_MS / 2);

    await loop.opened(22);
    await loop.live(MINUTE_MS, HEARTBEAT_MS);
    loop.latest.cut(1006);
    await until('it waits', () => loop.waits.length === 22);
    expect(loop.waits.at(-1)).to.equal(SECOND_MS / 2);
  });
});

describe('a manager that is away', () => {
  it('for a day has its delegate back at most a minute after its return', async () => {
    await using loop = new Loop(() => 0.999);
    const { clock } = loop.room;
    await loop.opened(1);
    loop.up = false;
    loop.latest.cut();
    await clock.advance(DAY_MS);
    expect(loop.session).to.equal(undefined);
    expect(loop.attempts.length).to.be.greaterThan(DAY_MS / MINUTE_MS);
    loop.up = true;
    for (let ms = 0; ms < MINUTE_MS && loop.transports.length < 2; ms += SECOND_MS) {
      await clock.advance(SECOND_MS);
    }
    await loop.opened(2);
  });

  it('is never waited for longer than five minutes, whatever it did or its network does', async () => {
    const refusal = fc
      .record({
        next: fc.constantFrom<AfterClose>('reconnect', 'new-token', 'enrol-again', 'slowest-pace'),
        retryAfter: fc.oneof(
          fc.string(),
          fc.nat().map(String),
          fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
        ),
      })
      .map(({ next, retryAfter }) => {
        const wanted = retryAfterMs({ 'retry-after': retryAfter }, 0);
        return new ManagerRefusal('not-authenticated', '', {
          status: 503,
          next,
          hint: '',
          retryAfterMs: wanted,
        });
      });
    const closed = fc
      .integer({ min: 1000, max: 4999 })
      .filter((code) => code !== 4409)
      .map((code) => new SessionNotOpened({ code, reason: '' }));
    const lost = fc.integer({ min: 1000, max: 4999 }).filter((code) => code !== 4409);
    const moved = fc.record({ reconnectAfterMs: fc.maxSafeNat() });
    const happening = fc.oneof(
      refusal,
      closed,
      lost,
      moved,
      fc.string().map((text) => new Error(text)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(happening, { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        async (happenings, drawn) => {
          expect(Math.max(...(await waitsAfter(happenings, drawn)))).to.be.at.most(MAX_WAIT_MS);
        },
      ),
      { numRuns: 200 },
    );
  });
});

type Happening = Error | number | { reconnectAfterMs: number };

/** Every wait of a loop to which all this happens, one after the other, on a clock on which waiting takes no time. */
async function waitsAfter(happenings: readonly Happening[], drawn: number): Promise<number[]> {
  const waited: number[] = [];
  const stop = new AbortController();
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after(ms, callback) {
      waited.push(ms);
      queueMicrotask(callback);
      return { cancel: () => {} };
    },
  };
  const left = [...happenings];
  const open = async (): Promise<OpenSession> => {
    await Promise.resolve();
    const next = left.shift();
    if (next === undefined) stop.abort(new Error('all has happened'));
    stop.signal.throwIfAborted();
    if (next instanceof Error) throw next;
    return sessionThat(next);
  };
  const loop = runConnectionLoop(
    {
      open,
      onSession: () => {},
      onNotAuthenticated: () => {},
      onRevoked: () => {},
      onFailure: () => {},
      onWait: () => {},
      clock,
      random: () => drawn,
      log: pino({ enabled: false }),
    },
    stop.signal,
  );
  await loop.catch((error: unknown) => expect(error).to.equal(stop.signal.reason));
  return waited;
}

/** Ends with a code, or asks to move. */
function sessionThat(ends: number | { reconnectAfterMs: number } | undefined): OpenSession {
  const end = deferred<{ code: number; reason: string }>();
  const drain = deferred<{ type: 'drain'; reason: string; reconnectAfterMs: number }>();
  if (typeof ends === 'number') end.resolve({ code: ends, reason: '' });
  else if (ends !== undefined) drain.resolve({ type: 'drain', reason: '', ...ends });
  const leave = async (): Promise<void> => {
    end.resolve({ code: 1000, reason: '' });
    await end.promise;
  };
  return {
    sessionId: 's',
    lastedMs: 0,
    ended: end.promise,
    drainAsked: drain.promise,
    retire: leave,
    leave,
  };
}

describe('a session that lasts', () => {
  it('for 30 days is as it was on the first: leases, heartbeats, and a first wait of a second', async () => {
    const heartbeatMs = 10 * MINUTE_MS;
    await using loop = new Loop(() => 0.999, heartbeatMs);
    const { room } = loop;
    await loop.opened(1);
    loop.latest.arrive(assignOf({ name: 'test.write', timeoutMs: MAX_TIMEOUT_MS }));
    loop.latest.arrive({ type: 'accept.ack', ...REF });
    const work = await room.workshop.next();
    await loop.live(heartbeatMs, heartbeatMs);
    const timers = room.clock.pending;
    // As long as a task may last.
    await loop.live(24 * DAY_MS, heartbeatMs);
    expect(work.context.signal.aborted).to.equal(false);
    expect(room.clock.pending).to.equal(timers);
    work.finish();
    await loop.live(6 * DAY_MS, heartbeatMs);
    expect(loop.latest.sentOf('task.result')[0]).to.include({ outcome: 'succeeded' });
    expect(loop.session?.healthy).to.equal(true);
    // Those of the lease and of the task's own time are gone.
    expect(room.clock.pending).to.equal(timers - 2);
    expect(loop.latest.sentOf('heartbeat')).to.have.lengthOf((30 * DAY_MS) / heartbeatMs + 1);
    loop.latest.cut();
    await until('it waits', () => loop.waits.length === 1);
    expect(loop.waits).to.deep.equal([999]);
  });

  for (const stepMs of [HOUR_MS, -HOUR_MS]) {
    it(`does not notice a wall clock that is set by ${stepMs / MINUTE_MS} min`, async () => {
      await using loop = new Loop(() => 0.5);
      const { room } = loop;
      const { clock } = room;
      await loop.opened(1);
      loop.latest.arrive(assignOf({ name: 'test.write', timeoutMs: 10 * MINUTE_MS }));
      loop.latest.arrive({ type: 'accept.ack', ...REF });
      const work = await room.workshop.next();
      await loop.live(2 * HEARTBEAT_MS, HEARTBEAT_MS);
      clock.setWall(clock.now() + stepMs);
      await loop.live(2 * LEASE_MS, HEARTBEAT_MS);
      expect(loop.session?.healthy).to.equal(true);
      expect([loop.transports.length, work.context.signal.aborted]).to.deep.equal([1, false]);

      // A wait that has begun is not made longer or shorter either.
      loop.latest.cut();
      await until('it waits', () => loop.waits.length === 1);
      clock.setWall(clock.now() - stepMs);
      await clock.advance((loop.waits[0] ?? 0) - 1);
      expect(loop.attempts).to.have.lengthOf(1);
      await clock.advance(1);
      await loop.opened(2);

      work.finish();
      await turn();
      const [result] = loop.latest.sentOf('task.result');
      expect(result?.timing.runMs).to.be.within(2 * LEASE_MS, 3 * LEASE_MS);
    });
  }
});
