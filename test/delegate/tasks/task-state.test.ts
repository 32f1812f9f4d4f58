import { expect } from 'chai';
import { TaskEntry, TaskTable } from '../../../src/delegate/tasks/task-state.ts';
import { entryOf, REF, resultOf } from '../frames.ts';

const second = { taskId: REF.taskId, attempt: 2 };
const other = { taskId: 't-2', attempt: 1 };

describe('a task entry', () => {
  it('keeps the first reason that it was stopped for', () => {
    const entry = entryOf();
    entry.stop('deadline', 'too slow');
    entry.stop('cancelled', 'not wanted');
    expect(entry.stopReason).to.equal('deadline');
    expect(entry.signal.reason).to.have.property('message', 'too slow');
  });

  it('has no reason before it is stopped', () => {
    expect(entryOf().stopReason).to.equal(undefined);
    expect(entryOf().discarded).to.equal(false);
  });

  it('can be discarded after it was stopped for another reason', () => {
    const entry = entryOf();
    entry.stop('cancelled', '');
    expect(entry.discarded).to.equal(false);
    entry.discard('');
    expect(entry.discarded).to.equal(true);
    expect(entry.stopReason).to.equal('cancelled');
  });

  it('that is known by its result of the run before holds no slot and has ended', async () => {
    const table = new TaskTable();
    const entry = TaskEntry.finishedBefore(resultOf(REF));
    table.add(entry);
    await entry.ended.promise;
    expect(table.occupied).to.equal(0);
    expect(table.get(REF)?.state).to.deep.equal({ at: 'finished', result: resultOf(REF) });
  });
});

describe('the task table', () => {
  for (const at of ['accepting', 'accepted', 'running'] as const) {
    it(`counts a task that is ${at} as running and as a slot`, () => {
      const table = new TaskTable();
      const entry = entryOf(REF, at);
      table.add(entry);
      expect(table.unfinished()).to.deep.equal([entry]);
      expect(table.active()).to.deep.equal([entry]);
      expect(table.occupied).to.equal(1);
    });

    it(`keeps the slot of a task that is discarded while ${at}, until its code has ended`, () => {
      const table = new TaskTable();
      const entry = entryOf(REF, at);
      table.add(entry);
      table.discard(entry);
      expect(table.unfinished()).to.deep.equal([]);
      expect(table.active()).to.deep.equal([entry]);
      expect(table.occupied).to.equal(1);
      table.release(entry);
      expect(table.occupied).to.equal(0);
    });
  }

  it('frees the slot when the work ends, not when the result is acknowledged', () => {
    const table = new TaskTable();
    table.add(entryOf(REF, 'finished'));
    expect(table.occupied).to.equal(0);
    expect(table.get(REF)).not.to.equal(undefined);
  });

  it('holds no slot for a finished task that is discarded', () => {
    const table = new TaskTable();
    const entry = entryOf(REF, 'finished');
    table.add(entry);
    table.discard(entry);
    expect(table.occupied).to.equal(0);
    expect(table.latest(REF.taskId)).to.equal(undefined);
  });

  it('finds a task by its very attempt, and its latest attempt by its id', () => {
    const table = new TaskTable();
    const entry = entryOf(second, 'running');
    table.add(entry);
    expect(table.get(REF)).to.equal(undefined);
    expect(table.get(second)).to.equal(entry);
    expect(table.latest(REF.taskId)).to.equal(entry);
  });

  it('lets a replaced attempt end without touching its successor', () => {
    const table = new TaskTable();
    const [old, next] = [entryOf(REF, 'running'), entryOf(second, 'accepting')];
    table.add(old);
    table.discard(old);
    table.add(next);
    expect(table.occupied).to.equal(2);
    table.discard(old);
    table.release(old);
    expect(table.get(second)).to.equal(next);
    expect(table.occupied).to.equal(1);
  });

  it('lists in order of arrival', () => {
    const table = new TaskTable();
    table.add(entryOf(other, 'running'));
    table.add(entryOf(REF, 'accepting'));
    expect(table.unfinished().map((entry) => entry.ref.taskId)).to.deep.equal(['t-2', 't-1']);
  });

  it('remembers the highest attempt that was discarded, and not one that was given back', () => {
    const table = new TaskTable();
    table.discard(entryOf(second, 'finished'));
    table.discard(entryOf(REF, 'finished'));
    table.giveBack(entryOf(other));
    expect(table.endedAttempt(REF.taskId)).to.equal(2);
    expect(table.endedAttempt(other.taskId)).to.equal(undefined);
  });

  it('names the last discarded attempt whose code still runs', () => {
    const table = new TaskTable();
    const [old, next] = [entryOf(REF, 'running'), entryOf(second, 'running')];
    table.discard(old);
    table.discard(next);
    expect(table.leaving(REF.taskId)).to.equal(next);
    table.release(next);
    table.release(old);
    expect(table.leaving(REF.taskId)).to.equal(undefined);
  });

  it('remembers the last 1000 acknowledged attempts, and no more', () => {
    const table = new TaskTable();
    const acknowledge = (taskId: string, attempt: number): void => {
      const entry = entryOf({ taskId, attempt }, 'finished');
      table.add(entry);
      table.acknowledge(entry);
    };
    for (let n = 0; n < 1_000; n += 1) acknowledge(`t-${n}`, 1);
    acknowledge('t-0', 2);
    acknowledge('t-1000', 1);
    expect(table.endedAttempt('t-0')).to.equal(2);
    expect(table.endedAttempt('t-1')).to.equal(undefined);
    expect(table.endedAttempt('t-2')).to.equal(1);
    expect(table.latest('t-2')).to.equal(undefined);
  });
});
