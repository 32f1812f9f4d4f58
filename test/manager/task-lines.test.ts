import { expect } from 'chai';
import * as fc from 'fast-check';
import { TaskLines } from '../../src/manager/task-lines.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { managersUnderTest, readTask } from './support/manager-under-test.ts';
import type { ScriptedDelegate } from './support/scripted-delegate.ts';
import { managerWithDelegate } from './support/with-delegate.ts';

describe('tasks of several connectors', () => {
  const start = managersUnderTest();
  leavesNothingOpen();

  const names = async (delegate: ScriptedDelegate, count: number): Promise<unknown[]> => {
    const assigned: unknown[] = [];
    for (let n = 0; n < count; n += 1) assigned.push((await delegate.next('task.assign')).input);
    return assigned;
  };

  it('the one with fewest at work is next, and a task that no connector has is not behind them all', async () => {
    const { manager, delegate } = await managerWithDelegate(start, 4);
    const submit = (name: string, affinity?: string): void =>
      void manager.submit(readTask({ input: { name }, affinity }));
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']) submit(name, 'a');
    submit('b1', 'b');
    submit('b2', 'b');
    submit('test of a connector');
    expect(await names(delegate, 4)).to.deep.equal(['a1', 'a2', 'a3', 'a4'].map((name) => ({ name })));
    delegate.send({ type: 'credit', granted: 8 });
    expect(await names(delegate, 4)).to.deep.equal(
      ['b1', 'test of a connector', 'b2', 'a5'].map((name) => ({ name })),
    );
  });
});

describe('the lines of waiting tasks', () => {
  const at = (state: 'waiting' | 'running' | 'ended') =>
    state === 'waiting'
      ? ({ at: 'waiting' } as const)
      : state === 'running'
        ? ({
            at: 'running',
            holder: { delegateId: 'd', name: 'd', version: '1' },
            effect: 'reads',
            acceptedAt: '',
          } as const)
        : ({ at: 'ended', outcome: 'succeeded', holder: null, timing: null, finishedAt: '' } as const);

  it('a task that comes back stands before younger ones', () => {
    const lines = new TaskLines();
    for (const taskId of ['1', '2', '3']) lines.moved({ taskId, affinity: null, state: at('waiting') });
    lines.moved({ taskId: '1', affinity: null, state: at('running') });
    lines.moved({ taskId: '1', affinity: null, state: at('waiting') });
    expect([...lines.inTurn()]).to.deep.equal(['1', '2', '3']);
  });

  it('whatever moves: each that waits has one turn, oldest first in its line', () => {
    const move = fc.record({
      task: fc.nat({ max: 19 }),
      state: fc.constantFrom('waiting' as const, 'running' as const, 'ended' as const),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 200 }), (moves) => {
        const lines = new TaskLines();
        const states = new Map<number, 'waiting' | 'running' | 'ended'>();
        const affinityOf = (task: number): string | null => [null, 'a', 'b'][task % 3] ?? null;
        const tell = (task: number, state: 'waiting' | 'running' | 'ended'): void => {
          states.set(task, state);
          lines.moved({ taskId: String(task), affinity: affinityOf(task), state: at(state) });
        };
        for (let task = 0; task < 20; task += 1) tell(task, 'waiting');
        for (const { task, state } of moves) if (states.get(task) !== 'ended') tell(task, state);
        const turns = [...lines.inTurn()].map(Number);
        const waiting = [...states.keys()].filter((task) => states.get(task) === 'waiting');
        expect(turns.toSorted((a, b) => a - b)).to.deep.equal(waiting);
        for (const line of [null, 'a', 'b']) {
          const own = turns.filter((task) => affinityOf(task) === line);
          expect(own).to.deep.equal(own.toSorted((a, b) => a - b));
        }
      }),
    );
  });
});
