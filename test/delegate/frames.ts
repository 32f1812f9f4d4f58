import type { TaskAssign, TaskRef, TaskResult } from '../../src/protocol/messages.ts';
import { TaskEntry, type TaskState } from '../../src/delegate/tasks/task-state.ts';

/** Frames and entries to begin from. */

export const REF: TaskRef = { taskId: 't-1', attempt: 1 };

export function assignOf(changes: Partial<TaskAssign> = {}): TaskAssign {
  return {
    type: 'task.assign',
    ...REF,
    name: 'test.echo',
    version: 1,
    input: {},
    timeoutMs: 60_000,
    ...changes,
  };
}

type Succeeded = Extract<TaskResult, { outcome: 'succeeded' }>;

export function resultOf(ref: TaskRef = REF, output: Succeeded['output'] = null): Succeeded {
  return {
    type: 'task.result',
    ...ref,
    outcome: 'succeeded',
    output,
    delegate: {
      id: 'dlg-1',
      name: 'eu-1',
      instanceId: '5d2f5c9e-3b1a-4c8e-9f60-7a1b2c3d4e5f',
      version: '26.11.90100',
    },
    timing: {
      receivedAt: '2026-11-23T13:10:35.000Z',
      startedAt: '2026-11-23T13:10:35.000Z',
      finishedAt: '2026-11-23T13:10:35.000Z',
      queueMs: 0,
      runMs: 0,
    },
  };
}

export function entryOf(ref: TaskRef = REF, at: TaskState['at'] = 'accepting'): TaskEntry {
  const entry = new TaskEntry({ ref, name: 'test.echo', effect: 'reads', receivedAt: 0 });
  entry.state = at === 'finished' ? { at, result: resultOf(ref) } : { at };
  return entry;
}
