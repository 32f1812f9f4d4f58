import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { pino } from 'pino';
import { openJournal, RETRY_EVERY_MS } from '../../src/delegate/journal/file-journal.ts';
import type { WorkloadOptions } from '../../src/delegate/tasks/workload.ts';
import { MIN_FRAME_BYTES } from '../../src/protocol/limits.ts';
import { keyOf, type TaskResult } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import type { MemoryTransport } from '../support/memory-transport.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { FaultyFolder } from './journal/faulty-folder.ts';
import { assignOf, REF, resultOf } from './frames.ts';
import { LEASE_MS, Room } from './room.ts';

const KEY = randomBytes(32);

/** One state folder, and one delegate after the other that lives on it; each leaves it as a crash would. */
class House {
  readonly folder = new FaultyFolder();

  async next(changes: Partial<Omit<WorkloadOptions, 'clock'>> = {}): Promise<Room> {
    const clock = new ManualClock();
    const journal = await openJournal({
      folder: this.folder,
      key: KEY,
      clock,
      log: pino({ level: 'silent' }),
    });
    const room = new Room({ ...changes, clock, journal });
    await room.recovered;
    return room;
  }
}

function told(transport: MemoryTransport): string[] {
  return transport.sentOf('task.result').map((result) => keyOf(result) + ' ' + endingOf(result));
}

function endingOf(result: TaskResult): string {
  if (result.outcome === 'succeeded') return 'succeeded';
  return `${result.outcome}/${result.error.code}${result.error.retryable ? ', retryable' : ''}`;
}

function grants(transport: MemoryTransport): number[] {
  return transport.sentOf('credit').map(({ granted }) => granted);
}

describe('a delegate that comes back after a crash', () => {
  leavesNothingOpen();

  it('reports as interrupted, and retryable, the reading that it had begun; in the name of the version that did', async () => {
    const house = new House();
    const before = await house.next();
    const { transport } = await before.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await before.workshop.next();

    const upgraded = { ...resultOf().delegate, version: '26.12.90200' };
    const after = await house.next({ identity: () => upgraded });
    const { transport: line } = await after.open();
    expect(told(line)).to.deep.equal(['t-1#1 failed/interrupted, retryable']);
    const [result] = line.sentOf('task.result');
    expect(result?.delegate.version).to.equal('26.11.90100');
    expect(result)
      .to.have.nested.property('error.message')
      .that.matches(/in the middle of test\.read/);
    expect(after.workshop.begun).to.deep.equal([]);
  });

  it('reports writing that had started as unknown, with what it knows', async () => {
    const house = new House();
    const before = await house.next();
    const { transport } = await before.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await before.clock.settle();
    transport.arrive({ type: 'accept.ack', ...REF });
    await before.workshop.next();

    const after = await house.next();
    const { transport: line } = await after.open();
    expect(told(line)).to.deep.equal(['t-1#1 unknown/interrupted']);
    const [result] = line.sentOf('task.result');
    expect(result).to.have.nested.property('error.category', 'ambiguous');
    expect(result)
      .to.have.nested.property('error.message')
      .that.matches(/took the task at .*Z and may have worked on it from .*Z on/);
  });

  it('reports writing that waited for its acknowledgement as not done', async () => {
    const house = new House();
    const before = await house.next();
    const { transport } = await before.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await before.clock.settle();
    expect(transport.sentOf('task.accept')).to.have.lengthOf(1);

    const after = await house.next();
    expect(told((await after.open()).transport)).to.deep.equal(['t-1#1 failed/interrupted, retryable']);
  });

  it('sends first what had finished, in the order in which it finished', async () => {
    const house = new House();
    const before = await house.next();
    const { transport } = await before.open();
    for (const n of [1, 2, 3]) transport.arrive(assignOf({ taskId: `t-${n}`, name: 'test.read' }));
    const works = [];
    for (let n = 0; n < 3; n += 1) works.push(await before.workshop.next());
    for (const work of [works[2], works[1]]) {
      work?.finish('done');
      await before.clock.settle();
    }

    const after = await house.next();
    expect(told((await after.open()).transport)).to.deep.equal([
      't-3#1 succeeded',
      't-2#1 succeeded',
      't-1#1 failed/interrupted, retryable',
    ]);
  });

  it('tells the same after every further crash, until it is acknowledged, and never again then', async () => {
    const house = new House();
    const before = await house.next();
    (await before.open()).transport.arrive(assignOf({ name: 'test.read' }));
    await before.workshop.next();
    for (let crash = 0; crash < 3; crash += 1) {
      const { transport } = await (await house.next()).open();
      expect(told(transport)).to.deep.equal(['t-1#1 failed/interrupted, retryable']);
    }
    const room = await house.next();
    const { transport } = await room.open();
    transport.arrive({ type: 'result.ack', ...REF });
    await room.clock.settle();
    expect(told((await (await house.next()).open()).transport)).to.deep.equal([]);
  });

  it('answers an assign that it had taken before: with the result, and after its acknowledgement as stale', async () => {
    const house = new House();
    const before = await house.next();
    (await before.open()).transport.arrive(assignOf());
    await before.clock.settle();

    const after = await house.next();
    const { transport } = await after.open();
    transport.arrive(assignOf());
    await after.clock.settle();
    expect(told(transport)).to.deep.equal(['t-1#1 succeeded', 't-1#1 succeeded']);
    transport.arrive({ type: 'result.ack', ...REF });
    await after.clock.settle();

    const last = await house.next();
    const { transport: line } = await last.open();
    line.arrive(assignOf());
    await last.clock.settle();
    expect(line.sentOf('task.reject')[0]?.code).to.equal('stale-attempt');
    expect(line.sentOf('task.accept')).to.deep.equal([]);
  });

  it('does not take up again a task that was given up by the manager', async () => {
    const house = new House();
    const before = await house.next();
    const { transport } = await before.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    await before.workshop.next();
    transport.arrive({ type: 'heartbeat.ack', seq: 0, lost: [REF] });
    await before.clock.settle();
    expect(told((await (await house.next()).open()).transport)).to.deep.equal([]);
  });

  it('tells the same story as before the crash about a result that was too large', async () => {
    const house = new House();
    const before = await house.next();
    const narrow = await before.open({ maxFrameBytes: MIN_FRAME_BYTES });
    narrow.transport.arrive(assignOf({ input: 'x'.repeat(MIN_FRAME_BYTES) }));
    await before.clock.settle();
    expect(told(narrow.transport)).to.deep.equal(['t-1#1 failed/result-too-large']);
    const wide = await (await house.next()).open();
    expect(told(wide.transport)).to.deep.equal(['t-1#1 failed/result-too-large']);
  });
});

describe('a delegate whose disk takes nothing', () => {
  it('stops granting credit, says why to whoever assigns, and goes on when the disk does', async () => {
    const house = new House();
    const room = await house.next();
    const { transport } = await room.open();
    house.folder.fail('ENOSPC', 'append');
    transport.arrive(assignOf({ taskId: 't-1' }));
    await room.clock.settle();
    transport.arrive(assignOf({ taskId: 't-2' }));
    await room.clock.settle();
    const rejects = transport.sentOf('task.reject');
    expect(rejects.map(({ taskId, code }) => `${taskId} ${code}`)).to.deep.equal([
      't-1 outbox-full',
      't-2 outbox-full',
    ]);
    expect(rejects[1]?.message).to.match(/cannot record tasks on its disk/);
    expect(grants(transport)).to.deep.equal([4]);
    expect(room.workload.recording).to.equal(false);
    house.folder.heal();
    await room.clock.advance(RETRY_EVERY_MS);
    expect(grants(transport).at(-1)).to.equal(6);
    transport.arrive(assignOf({ taskId: 't-3' }));
    await room.clock.settle();
    expect(told(transport)).to.deep.equal(['t-3#1 succeeded']);
  });

  it('still sends the result of what runs, and has it on disk when that is possible', async () => {
    const house = new House();
    const room = await house.next();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.read' }));
    const work = await room.workshop.next();
    house.folder.fail('ENOSPC', 'append');
    work.finish('done');
    await room.clock.settle();
    expect(told(transport)).to.deep.equal(['t-1#1 succeeded']);
    expect(room.logged.some((line) => line.includes('kept in memory alone'))).to.equal(true);
    house.folder.heal();
    await room.clock.advance(RETRY_EVERY_MS);
    expect(told((await (await house.next()).open()).transport)).to.deep.equal(['t-1#1 succeeded']);
  });

  it('begins no work that may write', async () => {
    const house = new House();
    const room = await house.next();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    house.folder.fail('EIO', 'append');
    transport.arrive({ type: 'accept.ack', ...REF });
    await room.clock.settle();
    expect(told(transport)).to.deep.equal(['t-1#1 failed/journal-unwritable, retryable']);
    expect(room.workshop.begun).to.deep.equal([]);
  });

  it('delivers from a read-only folder what the run before has left', async () => {
    const house = new House();
    const before = await house.next();
    const { transport: line } = await before.open();
    line.arrive(assignOf());
    line.arrive(assignOf({ taskId: 't-2', name: 'test.read' }));
    await before.workshop.next();
    house.folder.fail('EROFS', 'create', 'append', 'rename', 'remove');
    const { transport } = await (await house.next()).open();
    expect(told(transport)).to.deep.equal(['t-1#1 succeeded', 't-2#1 failed/interrupted, retryable']);
    expect(grants(transport)).to.deep.equal([]);
  });
});

describe('the bound on results', () => {
  it('counts what runs: credit stops before it, and it is never passed', async () => {
    const room = new Room({ outboxLimits: { maxResults: 6, maxBytes: 1_000_000 } });
    const { transport } = await room.open();
    for (let n = 0; n < 20; n += 1) {
      if (n >= (grants(transport).at(-1) ?? 0)) break;
      transport.arrive(assignOf({ taskId: `t-${n}` }));
      await room.clock.settle();
    }
    expect(room.workload.outbox.size).to.equal(6);
    expect(grants(transport).at(-1)).to.equal(6);
    transport.arrive({ type: 'result.ack', taskId: 't-0', attempt: 1 });
    await room.clock.settle();
    expect(grants(transport).at(-1)).to.equal(7);
  });

  it('is not passed either when an assign frees room itself, by replacing a result', async () => {
    const room = new Room({ outboxLimits: { maxResults: 3, maxBytes: 1_000_000 } });
    const { transport } = await room.open();
    for (const n of [1, 2, 3]) transport.arrive(assignOf({ taskId: `t-${n}` }));
    await room.clock.settle();
    transport.arrive({ type: 'result.ack', taskId: 't-1', attempt: 1 });
    await room.clock.settle();
    expect(grants(transport)).to.deep.equal([3, 4]);
    transport.arrive(assignOf({ taskId: 't-2', attempt: 2, name: 'test.read' }));
    await room.workshop.next();
    // One result, one task: room for one more.
    expect(grants(transport)).to.deep.equal([3, 4, 5]);
    transport.arrive(assignOf({ taskId: 't-3', attempt: 2, name: 'test.read' }));
    await room.workshop.next();
    expect(grants(transport).at(-1)).to.equal(6);
    expect(room.workload.running()).to.have.lengthOf(2);
  });

  it('that was lowered keeps what is there, and takes no more until it fits', async () => {
    const house = new House();
    const before = await house.next();
    const { transport: line } = await before.open();
    for (const n of [1, 2, 3, 4]) line.arrive(assignOf({ taskId: `t-${n}` }));
    await before.clock.settle();
    const room = await house.next({ outboxLimits: { maxResults: 2, maxBytes: 1_000_000 } });
    const { transport } = await room.open();
    expect(told(transport)).to.have.lengthOf(4);
    expect(grants(transport)).to.deep.equal([]);
    for (const n of [1, 2, 3]) transport.arrive({ type: 'result.ack', taskId: `t-${n}`, attempt: 1 });
    await room.clock.settle();
    expect(grants(transport)).to.deep.equal([1]);
  });
});

describe('the fence before a write', () => {
  it('holds back a write whose lease ran out while the event loop was blocked for three lease times', async () => {
    const room = new Room({ journal: memoryJournal() });
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    transport.arrive({ type: 'accept.ack', ...REF });
    const { context } = await room.workshop.next();
    context.fence();
    room.clock.block(3 * LEASE_MS);
    expect(context.signal.aborted).to.equal(false);
    expect(() => context.fence()).to.throw('no heartbeat was acknowledged');
    await room.workload.idle();
    expect(told(transport)).to.deep.equal(['t-1#1 unknown/lease-lost']);
  });
});

describe('slots', () => {
  it('are not eaten up by attempts that wait behind one that ignores its signal', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.hung' }));
    const hung = await room.workshop.next();
    for (const attempt of [2, 3, 4, 5]) {
      transport.arrive(assignOf({ name: 'test.read', attempt }));
      await room.clock.settle();
    }
    // The hung one, and the youngest.
    expect(room.workload.freeSlots).to.equal(2);
    hung.finish();
    const last = await room.workshop.next();
    last.finish('done');
    await room.workload.idle();
    expect(told(transport)).to.deep.equal(['t-1#5 succeeded']);
    expect(room.workshop.begun).to.have.lengthOf(2);
    expect(room.workload.freeSlots).to.equal(4 - room.workload.running().length);
  });
});

describe('a write that was made', () => {
  const outputs: [string, unknown][] = [
    ['has no JSON form', { n: 1n }],
    ['is too large for any frame', 'x'.repeat(2_000_000)],
  ];
  for (const [what, output] of outputs) {
    it(`is not called failed when its output ${what}`, async () => {
      const room = new Room();
      const { transport } = await room.open();
      transport.arrive(assignOf({ name: 'test.write' }));
      await room.clock.settle();
      transport.arrive({ type: 'accept.ack', ...REF });
      (await room.workshop.next()).finish(output);
      await room.workload.idle();
      const [result] = transport.sentOf('task.result');
      expect(result).to.include({ outcome: 'unknown' });
      expect(result).to.have.nested.property('error.retryable', false);
    });
  }

  it('is not called failed when its code fails after it in a way that nobody foresaw', async () => {
    const room = new Room();
    const { transport } = await room.open();
    transport.arrive(assignOf({ name: 'test.write' }));
    await room.clock.settle();
    transport.arrive({ type: 'accept.ack', ...REF });
    (await room.workshop.next()).fail(new TypeError('undefined is not a function'));
    await room.workload.idle();
    expect(told(transport)).to.deep.equal(['t-1#1 unknown/internal']);
  });
});
