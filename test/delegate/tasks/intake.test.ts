import { expect } from 'chai';
import { judgeAssign, type IntakeView } from '../../../src/delegate/tasks/intake.ts';
import type { TaskAssign } from '../../../src/protocol/messages.ts';
import { assignOf, entryOf, REF } from '../frames.ts';
import { refusing, Workshop } from '../work.ts';

const { types } = new Workshop();
const refusal = { name: 'test.refusing' };
const second = { taskId: REF.taskId, attempt: 2 };

function view(changes: Partial<IntakeView> = {}): IntakeView {
  return {
    known: undefined,
    endedAttempt: undefined,
    leaving: undefined,
    draining: false,
    withinCredit: true,
    noRoom: undefined,
    signatureFault: undefined,
    taskTypes: types,
    ...changes,
  };
}

/** The verdict in one word: what it is, or the code of the reject. */
function judged(assign: Partial<TaskAssign>, changes: Partial<IntakeView>): string {
  const verdict = judgeAssign(assignOf(assign), view(changes));
  return verdict.is === 'reject' ? verdict.code : verdict.is;
}

const refusedEverywhere: Partial<IntakeView> = {
  draining: true,
  withinCredit: false,
  noRoom: 'full',
  signatureFault: 'bad',
};

const table: [situation: string, assign: Partial<TaskAssign>, view: Partial<IntakeView>, verdict: string][] =
  [
    ['nothing is known', {}, {}, 'accept'],
    ['the same attempt waits for the disk', {}, { known: entryOf(REF, 'accepting') }, 'accept-again'],
    ['the same attempt is accepted', {}, { known: entryOf(REF, 'accepted') }, 'accept-again'],
    ['the same attempt runs', {}, { known: entryOf(REF, 'running') }, 'accept-again'],
    ['the same attempt is finished', {}, { known: entryOf(REF, 'finished') }, 'result-again'],
    ['the same attempt was acknowledged', {}, { endedAttempt: 1 }, 'stale-attempt'],
    ['a higher attempt runs', {}, { known: entryOf(second, 'running') }, 'stale-attempt'],
    ['a higher attempt is finished', {}, { known: entryOf(second, 'finished') }, 'stale-attempt'],
    ['a higher attempt was acknowledged', {}, { endedAttempt: 2 }, 'stale-attempt'],
    ['a lower attempt runs', { attempt: 2 }, { known: entryOf(REF, 'running') }, 'accept'],
    ['a lower attempt is finished', { attempt: 2 }, { known: entryOf(REF, 'finished') }, 'accept'],
    ['a lower attempt was acknowledged', { attempt: 2 }, { endedAttempt: 1 }, 'accept'],
    ['the delegate leaves', {}, { draining: true }, 'draining'],
    ['nothing was granted', {}, { withinCredit: false }, 'no-credit'],
    ['the outbox is full', {}, { noRoom: 'full' }, 'outbox-full'],
    ['the signature does not do', {}, { signatureFault: 'of another task' }, 'bad-signature'],
    ['the task is not known', { name: 'no.such.task' }, {}, 'unknown-task'],
    ['the version is not known', { version: 2 }, {}, 'unsupported-version'],
    ['the input does not do', refusal, { taskTypes: [refusing('invalid-input')] }, 'invalid-input'],
    ['the policy forbids it', refusal, { taskTypes: [refusing('policy')] }, 'policy-denied'],
    // What is known is answered even by a delegate that would take nothing new.
    [
      'a copy, and it takes nothing',
      {},
      { ...refusedEverywhere, known: entryOf(REF, 'running') },
      'accept-again',
    ],
    [
      'a finished copy, and it takes nothing',
      {},
      { ...refusedEverywhere, known: entryOf(REF, 'finished') },
      'result-again',
    ],
    [
      'an unsigned task nobody knows',
      { name: 'no.such.task' },
      { signatureFault: 'not signed' },
      'bad-signature',
    ],
  ];

describe('intake', () => {
  for (const [situation, assign, changes, verdict] of table) {
    it(`answers ${verdict} when ${situation}`, () => {
      expect(judged(assign, changes)).to.equal(verdict);
    });
  }

  it('names the attempt that a higher one replaces', () => {
    const known = entryOf(REF, 'running');
    const verdict = judgeAssign(assignOf({ attempt: 2 }), view({ known }));
    expect(verdict).to.include({ is: 'accept', replaces: known });
  });

  it('waits for the end of an attempt that was discarded and still runs', () => {
    const leaving = entryOf(REF, 'running');
    const verdict = judgeAssign(assignOf({ attempt: 2 }), view({ leaving, endedAttempt: 1 }));
    expect(verdict).to.include({ is: 'accept', replaces: leaving });
  });

  it('gives the hint of a complaint of several lines on a line of its own', () => {
    const taskTypes = [refusing('policy', 'Ask the owner.', 'One thing.\nAnother thing.')];
    const verdict = judgeAssign(assignOf(refusal), view({ taskTypes }));
    expect(verdict).to.include({ message: 'One thing.\nAnother thing.\nAsk the owner.' });
  });

  it('tells the sender which versions there are', () => {
    const verdict = judgeAssign(assignOf({ version: 7 }), view());
    expect(verdict).to.deep.include({ message: 'test.echo: version 7; supported: 1.' });
  });

  it('gives the hint along with the complaint', () => {
    const taskTypes = [refusing('policy', 'Ask the owner of the policy.')];
    const verdict = judgeAssign(assignOf(refusal), view({ taskTypes }));
    expect(verdict).to.include({ message: 'The input does not do. Ask the owner of the policy.' });
  });

  it('cuts a complaint to what a frame carries', () => {
    const taskTypes = [refusing('policy', 'x'.repeat(100_000))];
    const verdict = judgeAssign(assignOf(refusal), view({ taskTypes }));
    expect(verdict).to.have.property('message').with.length.at.most(8_192);
  });
});
