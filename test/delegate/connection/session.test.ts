import { expect } from 'chai';
import { SessionNotOpened } from '../../../src/delegate/connection/session.ts';
import { deferred } from '../../../src/kit/flow.ts';
import { ProtocolViolation } from '../../../src/protocol/codec.ts';
import { MAX_TIMEOUT_MS, WELCOME_WITHIN_MS } from '../../../src/protocol/limits.ts';
import type { TaskRef } from '../../../src/protocol/messages.ts';
import { memoryJournal } from '../../support/memory-journal.ts';
import { welcome } from '../../support/scripted-manager.ts';
import { within } from '../../support/until.ts';
import { assignOf, REF, resultOf } from '../frames.ts';
import { HEARTBEAT_MS, LEASE_MS, Room } from '../room.ts';

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await within('a failure', work);
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

describe('opening a session', () => {
  it('says hello, re-sends what waits, then grants credit', async () => {
    const room = new Room();
    room.workload.outbox.put(resultOf());
    const { transport } = await room.open();
    expect(transport.sent.map((frame) => frame.type)).to.deep.equal(['hello', 'task.result', 'credit']);
    expect(transport.sentOf('hello')[0]?.unacknowledged).to.deep.equal([REF]);
    expect(transport.sentOf('credit')[0]?.granted).to.equal(4);
  });

  it('without a welcome in 10 s ends with 4408', async () => {
    const room = new Room();
    const { transport, opening } = room.dial();
    const failure = failureOf(opening);
    await room.clock.advance(WELCOME_WITHIN_MS - 1);
    expect(transport.isOpen).to.equal(true);
    await room.clock.advance(1);
    expect(transport.closedWith).to.include({ code: 4408 });
    expect(await failure).to.be.instanceOf(SessionNotOpened);
    expect(room.clock.pending).to.equal(0);
  });

  for (const early of [
    assignOf(),
    { type: 'resume' as const },
    { type: 'drain' as const, reason: '', reconnectAfterMs: 0 },
  ]) {
    it(`ends with 4400 at ${early.type} before the welcome`, async () => {
      const room = new Room();
      const { transport, opening } = room.dial();
      transport.arrive(early);
      expect(await failureOf(opening)).to.be.instanceOf(ProtocolViolation);
      expect(transport.closedWith).to.include({ code: 4400 });
      expect(room.clock.pending).to.equal(0);
    });
  }

  it('passes over a frame of an unknown type, whose clock runs on', async () => {
    const room = new Room();
    const { transport, opening } = room.dial();
    const failure = failureOf(opening);
    transport.arriveRaw('{"type":"of.a.later.version"}');
    await room.clock.advance(WELCOME_WITHIN_MS);
    await failure;
    expect(transport.closedWith).to.include({ code: 4408 });
  });

  it('is given up at once when the delegate stops', async () => {
    const room = new Room();
    const { transport, opening } = room.dial();
    const failure = failureOf(opening);
    room.abort.abort(new Error('the stop'));
    expect(await failure).to.have.property('message', 'the stop');
    expect(transport.isOpen).to.equal(false);
    expect(room.clock.pending).to.equal(0);
  });

  it('a second time in one session ends it with 4400', async () => {
    const { transport, session } = await new Room().open();
    transport.arrive(welcome());
    expect(await session.ended).to.include({ code: 4400 });
    expect(transport.closedWith?.reason).to.include('welcome');
  });
});

describe('the heartbeats of a session', () => {
  it('go out every heartbeatMs, numbered, naming what runs', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await room.workshop.next();
    await room.clock.advance(HEARTBEAT_MS);
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [] });
    await room.clock.advance(HEARTBEAT_MS);
    expect(transport.sentOf('heartbeat').map(({ seq, running }) => ({ seq, running }))).to.deep.equal([
      { seq: 0, running: [REF] },
      { seq: 1, running: [REF] },
    ]);
  });

  it('that nobody acknowledges end it, two heartbeats later', async () => {
    const room = new Room();
    const { transport, session } = await room.open();
    await room.clock.advance(2 * HEARTBEAT_MS - 1);
    expect(transport.isOpen).to.equal(true);
    await room.clock.advance(1);
    expect(session.healthy).to.equal(false);
    expect(transport.isOpen).to.equal(false);
    expect(await session.ended).to.include({ code: 4408 });
    expect(room.clock.pending).to.equal(0);
  });

  it('end it two heartbeats after the last acknowledgement, not after the last heartbeat', async () => {
    const room = new Room();
    const { transport } = await room.open();
    await room.clock.advance(1.5 * HEARTBEAT_MS);
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [] });
    await room.clock.advance(1.5 * HEARTBEAT_MS);
    transport.arrive({ type: 'heartbeat.ack', seq: 77, lost: [] });
    await room.clock.advance(0.5 * HEARTBEAT_MS - 1);
    expect(transport.isOpen).to.equal(true);
    await room.clock.advance(1);
    expect(transport.isOpen).to.equal(false);
  });

  it('that are acknowledged behind a blocked event loop keep it open', async () => {
    const room = new Room();
    const { transport } = await room.open();
    await room.clock.advance(HEARTBEAT_MS);
    // The timer is due before the ack is read, and both happen in one turn of the event loop.
    room.clock.after(HEARTBEAT_MS, () => transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [] }));
    const settle = room.clock.settle.bind(room.clock);
    room.clock.settle = () => Promise.resolve();
    await room.clock.advance(HEARTBEAT_MS);
    await settle();
    expect(transport.isOpen).to.equal(true);
  });

  it('that are acknowledged keep it open, one acknowledgement counting for all before', async () => {
    const room = new Room();
    const { transport, session } = await room.open();
    for (let ack = 0; ack < 10; ack += 1) {
      await room.clock.advance(1.9 * HEARTBEAT_MS);
      const seq = transport.sentOf('heartbeat').at(-1)?.seq ?? -1;
      transport.arrive({ type: 'heartbeat.ack', seq, lost: [] });
      await room.clock.settle();
    }
    expect(transport.sentOf('heartbeat')).to.have.lengthOf(19);
    expect(session.healthy).to.equal(true);
    expect(transport.isOpen).to.equal(true);
  });

  it('that do not fit the frame limit end it, and not the process', async () => {
    const room = new Room({ capacity: 40 });
    const { transport, session } = await room.open({ maxFrameBytes: 4_096 });
    for (let n = 0; n < 40; n += 1) {
      transport.arrive(assignOf({ taskId: `${n}-${'x'.repeat(120)}`, name: 'test.read' }));
    }
    await room.clock.settle();
    for (let beat = 0; beat < 3; beat += 1) await room.clock.advance(HEARTBEAT_MS);
    expect(await session.ended).to.include({ code: 4408 });
    room.workshop.finishAll();
    await room.workload.idle();
    expect(room.workload.outbox.size).to.equal(40);
  });
});

describe('the lease of a task', () => {
  async function running(name: string) {
    const room = new Room();
    const { transport, session } = await room.open();
    transport.arrive(assignOf({ name, timeoutMs: 10 * LEASE_MS }));
    transport.arrive({ type: 'accept.ack', ...REF });
    const work = await room.workshop.next();
    return { room, transport, session, work };
  }

  it('keeps work that may write going while heartbeats are acknowledged', async () => {
    const { room, transport, work } = await running('test.write');
    for (let seq = 0; seq < 9; seq += 1) {
      await room.clock.advance(HEARTBEAT_MS);
      transport.arrive({ type: 'heartbeat.ack', seq, lost: [] });
    }
    await room.clock.settle();
    expect(work.context.signal.aborted).to.equal(false);
    work.finish();
    await room.workload.idle();
    expect(transport.sentOf('task.result')[0]).to.include({ outcome: 'succeeded' });
  });

  it('ends work that may write, as unknown, when it is lost', async () => {
    const { room, transport, work } = await running('test.write');
    transport.cut();
    await room.clock.advance(LEASE_MS - 1);
    expect(work.context.signal.aborted).to.equal(false);
    await room.clock.advance(1);
    expect(work.context.signal.aborted).to.equal(true);
    const next = await room.open();
    expect(next.transport.sentOf('task.result')[0]).to.deep.include({ ...REF, outcome: 'unknown' });
    expect(next.transport.sentOf('task.result')[0]).to.have.nested.property('error.code', 'lease-lost');
  });

  it('does not matter to work that only reads: its result is sent when a connection is back', async () => {
    const { room, transport, work } = await running('test.read');
    transport.cut();
    await room.clock.advance(3 * LEASE_MS);
    expect(work.context.signal.aborted).to.equal(false);
    work.finish('late, and right');
    await room.workload.idle();
    const next = await room.open();
    expect(next.transport.sentOf('task.result')[0]).to.include({ output: 'late, and right' });
  });

  it('counts from the sending of a heartbeat, however late its ack', async () => {
    const { room, transport, work } = await running('test.write');
    await room.clock.advance(HEARTBEAT_MS);
    await room.clock.advance(HEARTBEAT_MS - 1);
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [] });
    await room.clock.settle();
    transport.cut();
    await room.clock.advance(LEASE_MS - HEARTBEAT_MS);
    expect(work.context.signal.aborted).to.equal(false);
    await room.clock.advance(1);
    expect(work.context.signal.aborted).to.equal(true);
  });

  it('is not prolonged by an ack of a heartbeat that was never sent', async () => {
    const { room, transport, work } = await running('test.write');
    await room.clock.advance(LEASE_MS - 1);
    transport.arrive({ type: 'heartbeat.ack', seq: 77, lost: [] });
    await room.clock.advance(1);
    expect(work.context.signal.aborted).to.equal(true);
  });

  it('counts, after a reconnect, from the hello and by the new terms', async () => {
    const { room, transport, work } = await running('test.write');
    transport.cut();
    await room.clock.advance(LEASE_MS - 2_000);
    const dialled = room.dial();
    await room.clock.advance(1_000);
    dialled.transport.arrive(welcome({ heartbeatMs: 5_000, leaseMs: 15_000 }));
    await dialled.opening;
    await room.clock.advance(13_999);
    expect(work.context.signal.aborted).to.equal(false);
    await room.clock.advance(1);
    expect(work.context.signal.aborted).to.equal(true);
  });

  it('of work that waits for accept.ack ends it unbegun', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    transport.cut();
    await room.clock.advance(LEASE_MS);
    await room.workload.idle();
    expect(room.workshop.begun).to.deep.equal([]);
    const next = await room.open();
    expect(next.transport.sentOf('task.result')[0]).to.include({ outcome: 'failed' });
  });
});

describe('a task that the manager has given up', () => {
  for (const where of ['welcome', 'heartbeat.ack'] as const) {
    it(`in ${where} is aborted at once, and its result is nobody's`, async () => {
      const room = new Room();
      const first = await room.open();
      first.transport.arrive(assignOf({ name: 'test.read' }));
      const work = await room.workshop.next();
      let { transport } = first;
      if (where === 'welcome') {
        first.transport.cut();
        await first.session.ended;
        ({ transport } = await room.open({ lost: [REF] }));
      } else {
        await room.clock.advance(HEARTBEAT_MS);
        transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [REF] });
        await room.clock.settle();
      }
      expect(work.context.signal.aborted).to.equal(true);
      await room.workload.idle();
      expect(transport.sentOf('task.result')).to.deep.equal([]);
      expect(room.workload.outbox.size).to.equal(0);
      expect(room.workload.freeSlots).to.equal(4);
    });
  }

  it("and had finished before the welcome is not sent: its result is nobody's", async () => {
    const room = new Room();
    const first = await room.open();
    first.transport.arrive(assignOf({ name: 'test.read' }));
    const work = await room.workshop.next();
    first.transport.cut();
    await first.session.ended;
    const { transport, opening } = room.dial();
    work.finish();
    await room.workload.idle();
    transport.arrive(welcome({ lost: [REF] }));
    await opening;
    expect(transport.sentOf('task.result')).to.deep.equal([]);
    expect(room.workload.outbox.size).to.equal(0);
    expect(room.journal.recover().finished).to.deep.equal([]);
  });

  it('in an ack of no heartbeat is aborted all the same', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    const work = await room.workshop.next();
    transport.arrive({ type: 'heartbeat.ack', seq: 77, lost: [REF] });
    await room.clock.settle();
    expect(work.context.signal.aborted).to.equal(true);
  });

  it('and had been cancelled before has no result either', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.hung' }));
    const work = await room.workshop.next();
    transport.arrive({ type: 'task.cancel', ...REF, reason: '' });
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [REF] });
    await room.clock.settle();
    work.finish();
    await room.workload.idle();
    expect(transport.sentOf('task.result')).to.deep.equal([]);
    expect(room.workload.outbox.size).to.equal(0);
  });

  for (const attempt of [1, 2]) {
    it(`at attempt 2 does not come back as attempt ${attempt}`, async () => {
      const room = new Room();
      const { transport } = await room.open();
      transport.arrive(assignOf({ name: 'test.read', attempt: 2 }));
      await room.workshop.next();
      transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [{ taskId: REF.taskId, attempt: 2 }] });
      transport.arrive(assignOf({ name: 'test.read', attempt }));
      await room.clock.settle();
      expect(transport.sentOf('task.reject')[0]).to.include({ attempt, code: 'stale-attempt' });
      expect(room.workshop.begun).to.have.lengthOf(1);
    });
  }

  it('and still runs is waited for by its next attempt', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.hung' }));
    const work = await room.workshop.next();
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [REF] });
    transport.arrive(assignOf({ name: 'test.hung', attempt: 2 }));
    await room.clock.settle();
    expect(room.workshop.begun).to.have.lengthOf(1);
    work.finish();
    (await room.workshop.next()).finish('of the second');
    await room.workload.idle();
    expect(transport.sentOf('task.result').map(({ attempt }) => attempt)).to.deep.equal([2]);
  });
});

describe('the deadline of a task', () => {
  it('counts from receipt, and ends work that only reads as failed/timeout', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read', timeoutMs: 1_000 }));
    const work = await room.workshop.next();
    expect(work.context.deadline).to.equal(1_000);
    await room.clock.advance(1_000);
    const [result] = transport.sentOf('task.result');
    expect(result).to.include({ outcome: 'failed' });
    expect(result).to.have.nested.property('error.code', 'timeout');
    expect(result?.timing).to.include({ queueMs: 0, runMs: 1_000 });
  });

  it('runs while work waits for its accept.ack', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write', timeoutMs: 1_000 }));
    await room.clock.advance(1_000);
    const [result] = transport.sentOf('task.result');
    expect(result).to.have.nested.property('error.code', 'timeout');
    expect(result?.outcome).to.equal('failed');
    expect(result?.timing).to.include({ queueMs: 1_000, runMs: 0 });
    expect(room.workshop.begun).to.deep.equal([]);
  });

  it('is not moved by a wall clock that jumps', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read', timeoutMs: 60_000 }));
    const work = await room.workshop.next();
    room.clock.setWall(0);
    await room.clock.advance(5_000);
    work.finish();
    await room.workload.idle();
    const timing = transport.sentOf('task.result')[0]?.timing;
    expect(Date.parse(timing?.finishedAt ?? '') - Date.parse(timing?.receivedAt ?? '')).to.equal(5_000);
  });
});

describe('progress', () => {
  it('is sent at most five times a second for a task, numbered without gaps', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    const work = await room.workshop.next();
    for (let ms = 0; ms < 1_000; ms += 10) {
      work.context.progress(`at ${ms} ms`);
      await room.clock.advance(10);
    }
    expect(transport.sentOf('task.progress').map(({ seq }) => seq)).to.deep.equal([0, 1, 2, 3, 4]);
  });

  it('that no frame can carry is dropped, and the task goes on', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    const work = await room.workshop.next();
    work.context.progress('x'.repeat(100_000));
    work.finish();
    await room.workload.idle();
    expect(transport.sentOf('task.progress')).to.deep.equal([]);
    expect(transport.sentOf('task.result')[0]?.outcome).to.equal('succeeded');
  });
});

describe('the workload and its journal', () => {
  it('accepts only what is on disk', async () => {
    const written: TaskRef[] = [];
    let release: (() => void) | undefined;
    const journal = memoryJournal({
      begin: ({ ref }) =>
        new Promise((resolve) => {
          release = () => {
            written.push(ref);
            resolve();
          };
        }),
    });
    const room = new Room({ journal });
    const { transport } = await room.open();
    transport.arrive(assignOf());
    transport.arrive(assignOf());
    await room.clock.settle();
    expect(transport.sentOf('task.accept')).to.deep.equal([]);
    release?.();
    await room.workload.idle();
    expect(written).to.deep.equal([REF]);
    expect(transport.sentOf('task.accept')).to.have.lengthOf(1);
  });

  it('gives a task back that it cannot record', async () => {
    const begin = (): Promise<void> => Promise.reject(new Error('ENOSPC'));
    const room = new Room({ journal: memoryJournal({ begin }) });
    const { transport } = await room.open();
    transport.arrive(assignOf());
    await room.clock.settle();
    expect(transport.sentOf('task.reject')[0]).to.include({ code: 'outbox-full' });
    expect(transport.sentOf('task.accept')).to.deep.equal([]);
    expect(transport.sentOf('credit').at(-1)?.granted).to.equal(5);
  });

  it('never records a result that belongs to nobody', async () => {
    const journal = memoryJournal();
    const recorded: TaskRef[] = [];
    const finish: typeof journal.finish = (result) => {
      recorded.push(result);
      return journal.finish(result);
    };
    const room = new Room({ journal: { ...journal, finish } });
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await room.workshop.next();
    transport.arrive(assignOf({ name: 'test.echo', attempt: 2 }));
    await room.clock.settle();
    await room.workload.idle();
    expect(recorded.map(({ attempt }) => attempt)).to.deep.equal([2]);
    expect(journal.recover().begun).to.deep.equal([]);
  });

  it('sends what the run before had finished, and does not do it again', async () => {
    const journal = memoryJournal();
    await journal.finish(resultOf());
    const room = new Room({ journal });
    await room.recovered;
    const { transport } = await room.open();
    expect(transport.sentOf('task.result')).to.have.lengthOf(1);
    transport.arrive(assignOf());
    await room.clock.settle();
    expect(transport.sentOf('task.result')).to.deep.equal([resultOf(), resultOf()]);
    expect(transport.sentOf('task.accept')).to.deep.equal([]);
    transport.arrive({ type: 'result.ack', ...REF });
    await room.clock.settle();
    expect(journal.recover().finished).to.deep.equal([]);
  });
});

describe('a move to another session', () => {
  it('repeats there an accept that was not acknowledged, and no other', async () => {
    const room = new Room();
    const old = await room.open();
    old.transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    const { transport, opening } = room.dial();
    // Accepted on the old session after the new one has said what runs.
    const late = { taskId: 't-2', attempt: 1 };
    old.transport.arrive(assignOf({ ...late, name: 'test.write' }));
    await room.clock.settle();
    transport.arrive(welcome());
    await opening;
    expect(transport.sentOf('task.accept')).to.deep.equal([{ type: 'task.accept', ...late }]);
    transport.arrive({ type: 'accept.ack', ...late });
    await room.clock.settle();
    expect(room.workshop.begun).to.have.lengthOf(2);
  });

  it('sends there the accept of a task whose begin is on disk only then', async () => {
    const begun = deferred<void>();
    const room = new Room({ journal: memoryJournal({ begin: () => begun.promise }) });
    const old = await room.open();
    const { transport, opening } = room.dial();
    old.transport.arrive(assignOf());
    await room.clock.settle();
    transport.arrive(welcome());
    await opening;
    await old.session.retire('moved');
    expect(transport.sentOf('task.accept')).to.deep.equal([]);
    begun.resolve();
    await room.workload.idle();
    expect(transport.sentOf('task.accept')).to.deep.equal([{ type: 'task.accept', ...REF }]);
  });
});

describe('what a later version may send', () => {
  it('is counted by type and told once, at the end of the session', async () => {
    const room = new Room();
    const { transport, session } = await room.open();
    for (const type of ['task.offer', 'task.offer', 'x'.repeat(100_000)]) {
      transport.arriveRaw(JSON.stringify({ type }));
    }
    await room.clock.settle();
    const about = (line: string): boolean => line.includes('unknown types');
    expect(room.logged.filter(about)).to.deep.equal([]);
    transport.cut();
    await session.ended;
    const [line = '{}', ...more] = room.logged.filter(about);
    expect(more).to.deep.equal([]);
    expect(JSON.parse(line)).to.deep.include({ frames: { 'task.offer': 2, ['x'.repeat(64)]: 1 } });
  });

  it('as a task with a name of any kind is answered by unknown-task', async () => {
    const { room, transport } = await opened();
    transport.arrive(assignOf({ name: 'Täglich: alles löschen!' }));
    await room.clock.settle();
    expect(transport.sentOf('task.reject')[0]).to.include({ code: 'unknown-task' });
    expect(transport.isOpen).to.equal(true);
  });

  it('as a time limit over the longest timer counts as the longest timer', async () => {
    const { room, transport } = await opened();
    transport.arrive(assignOf({ name: 'test.read', timeoutMs: Number.MAX_SAFE_INTEGER }));
    const work = await room.workshop.next();
    expect(work.context.deadline).to.equal(MAX_TIMEOUT_MS);
  });

  async function opened() {
    const room = new Room();
    return { room, ...(await room.open()) };
  }
});
