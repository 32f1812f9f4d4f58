import { expect } from 'chai';
import type { TaskRecord } from '../../src/manager/manager.ts';
import type { TaskEvent } from '../../src/manager/store.ts';
import type { FrameRow, Row } from './chronicle.ts';
import { judge } from './oracle.ts';
import { planOf, type TaskPlan } from './plan.ts';

/** A judge that sees nothing finds nothing: each thing that must never happen is shown to it once. */

const HOLDER = { delegateId: 'dlg-1', name: 'eu-1', version: '26.11.90100' };
const AT = '2026-11-23T13:10:35.000Z';
const TIMING = { receivedAt: AT, startedAt: AT, finishedAt: AT, queueMs: 0, runMs: 0 };

const WRITING: TaskPlan = {
  key: 'k',
  atMs: 0,
  work: { name: 'ledger.append', beforeMs: 0, afterMs: 0, end: 'succeeds' },
  timeoutMs: 60_000,
  cancelAtMs: undefined,
};
const READING: TaskPlan = {
  ...WRITING,
  work: { name: 'ledger.read', takesMs: 0, end: 'succeeds', deaf: false },
};

function put(attempt: number, state: TaskRecord['state'], what: TaskEvent['what'], taskId = 't-1'): Row {
  const record: TaskRecord = {
    taskId,
    name: 'ledger.append',
    version: 1,
    input: { key: 'k' },
    selectors: [],
    timeoutMs: 60_000,
    createdAt: AT,
    attempt,
    affinity: null,
    losses: 0,
    misses: 0,
    refusals: [],
    cancelReason: null,
    progress: null,
    history: [{ at: AT, attempt, what, holder: HOLDER, detail: null }],
    state,
  };
  return { kind: 'put', in: 'tasks', id: taskId, record };
}

const created = put(0, { at: 'waiting' }, 'created');
const offered = (attempt: number): Row =>
  put(attempt, { at: 'offered', holder: HOLDER, effect: 'writes' }, 'offered');
const running = (attempt: number): Row =>
  put(attempt, { at: 'running', holder: HOLDER, effect: 'writes', acceptedAt: AT }, 'accepted');
const givenUp = (attempt: number): Row => put(attempt, { at: 'waiting' }, 'lease-expired');

type Outcome = 'succeeded' | 'failed' | 'cancelled' | 'unknown';

function ended(attempt: number, outcome: Outcome, finishedAt = AT): Row {
  return put(
    attempt,
    { at: 'ended', outcome, output: null, holder: HOLDER, timing: TIMING, finishedAt },
    'ended',
  );
}

function frame(direction: FrameRow['direction'], type: string, attempt: number, outcome?: Outcome): Row {
  return { kind: 'frame', at: AT, direction, sessionId: 's-1', type, taskId: 't-1', attempt, outcome };
}

const result = (attempt: number, outcome: Outcome): Row => frame('received', 'task.result', attempt, outcome);
const ack = (attempt: number): Row => frame('sent', 'result.ack', attempt);

function complaintsAbout(rows: readonly Row[], lines: number, task = WRITING): string[] {
  const plan = { ...planOf(1, { tasks: 0, lastsMs: 0 }), tasks: [task] };
  const ledger = Array.from({ length: lines }, () => ({ key: 'k', pid: 1 }));
  return judge({ plan, rows, ledger }).map(({ what }) => what);
}

const good = [created, offered(1), running(1), result(1, 'succeeded'), ended(1, 'succeeded'), ack(1)];

describe('the judge of a chaos run', () => {
  it('is content with a task that went well, and with a copy of its result', () => {
    expect(complaintsAbout(good, 1)).to.deep.equal([]);
    expect(complaintsAbout([...good, result(1, 'succeeded'), ack(1)], 1)).to.deep.equal([]);
  });

  it('is content when the result of an attempt that was given up is acknowledged', () => {
    const rows = [created, offered(1), running(1), givenUp(1), result(1, 'cancelled'), ack(1)];
    const second = [offered(2), result(1, 'succeeded'), ack(1), running(2)];
    const end = [result(2, 'succeeded'), ended(2, 'succeeded'), ack(2)];
    expect(complaintsAbout([...rows, ...second, ...end], 0, READING)).to.deep.equal([]);
  });

  it('sees a task that has not ended, that was lost, and that was taken twice', () => {
    expect(complaintsAbout(good.slice(0, 3), 0)).to.deep.equal(['it has not ended']);
    expect(complaintsAbout([], 0)).to.deep.equal(['the manager made 0 tasks of one']);
    const twice = [...good, put(0, { at: 'waiting' }, 'created', 't-2')];
    expect(complaintsAbout(twice, 1)).to.deep.equal(['the manager made 2 tasks of one']);
  });

  it('sees an ending that changes, and one that is taken back', () => {
    const later = '2026-11-23T13:10:36.000Z';
    expect(complaintsAbout([...good, ended(1, 'succeeded', later)], 1)).to.deep.equal([
      'it had ended, and became ended again',
    ]);
    expect(complaintsAbout([...good, running(1), ended(1, 'succeeded')], 1)).to.deep.equal([
      'it had ended, and became running again',
    ]);
  });

  it('sees an acknowledged result that was not kept', () => {
    const rows = [created, offered(1), running(1), result(1, 'succeeded'), ack(1), ended(1, 'succeeded')];
    expect(complaintsAbout(rows, 1)).to.deep.equal(['result t-1#1 was acknowledged and not kept']);
  });

  it('sees an ending that is not what the result said', () => {
    const rows = [created, offered(1), running(1), result(1, 'unknown'), ended(1, 'succeeded'), ack(1)];
    expect(complaintsAbout(rows, 1)).to.deep.equal(['it ended succeeded, and its result said unknown']);
  });

  it('sees an attempt that was left out, or used again', () => {
    const rows = [created, offered(2), running(2), result(2, 'succeeded'), ended(2, 'succeeded'), ack(2)];
    expect(complaintsAbout(rows, 1)).to.deep.equal(['attempt 2 came after 0']);
    const back = [
      created,
      offered(1),
      offered(2),
      offered(1),
      result(1, 'failed'),
      ended(1, 'failed'),
      ack(1),
    ];
    expect(complaintsAbout(back, 0)).to.deep.equal(['attempt 1 came after 2']);
  });

  it('sees two attempts that might both write, by the record or by the ack that was sent', () => {
    const rows = [created, offered(1), frame('sent', 'accept.ack', 1), givenUp(1), offered(2), running(2)];
    const end = [result(2, 'succeeded'), ended(2, 'succeeded'), ack(2)];
    expect(complaintsAbout([...rows, ...end], 1)).to.deep.equal([
      'attempts 2 and 1 were both allowed to write',
    ]);
    expect(complaintsAbout([...rows, ...end], 0, READING)).to.deep.equal([]);
  });

  for (const [outcome, lines, complaint] of [
    ['succeeded', 2, 'it was done 2 times'],
    ['unknown', 2, 'it was done 2 times'],
    ['succeeded', 0, 'it ended succeeded, and was not done'],
    ['failed', 1, 'it ended failed, and was done'],
    ['cancelled', 1, 'it ended cancelled, and was done'],
  ] as const) {
    it(`sees a task that ended ${outcome} with ${lines} lines in the ledger`, () => {
      const rows = [created, offered(1), running(1), result(1, outcome), ended(1, outcome), ack(1)];
      expect(complaintsAbout(rows, lines)).to.deep.equal([complaint]);
    });
  }

  it('sees that a delegate has forgotten what it had begun', () => {
    const guessed = put(
      1,
      { at: 'ended', outcome: 'unknown', holder: HOLDER, timing: null, finishedAt: AT },
      'ended',
    );
    expect(complaintsAbout([created, offered(1), running(1), guessed], 0)).to.deep.equal([
      'the manager had to guess',
    ]);
  });

  it('is content with work that may or may not have been done, and says so', () => {
    const rows = [created, offered(1), running(1), result(1, 'unknown'), ended(1, 'unknown'), ack(1)];
    expect([complaintsAbout(rows, 0), complaintsAbout(rows, 1)]).to.deep.equal([[], []]);
  });
});
