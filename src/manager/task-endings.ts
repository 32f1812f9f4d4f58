import type { WireError } from '../kit/errors.ts';
import type { TaskResult } from '../protocol/messages.ts';
import { managerError } from './errors.ts';
import type { Blocked, Candidate } from './placement.ts';
import type { Holder, TaskEvent, TaskRecord, TaskState } from './store.ts';
import type { AcceptedTask } from './task-table.ts';

/** One sentence is not to hold thousands of delegates. */
const MAX_NAMED_DELEGATES = 10;

type Ended = Extract<TaskState, { at: 'ended' }>;

/** How a task ends; who worked on it last is known, or is whoever has it. */
export type Ending = Pick<Ended, 'outcome' | 'output' | 'error'> & Partial<Pick<Ended, 'holder' | 'timing'>>;

/** By a result of this delegate. Who it is was proven at connect; which version did the work only it can say. */
export function endingBy(result: TaskResult, delegateId: string): Ending {
  const { name, version } = result.delegate;
  return {
    outcome: result.outcome,
    ...(result.outcome === 'succeeded' ? { output: result.output } : { error: result.error }),
    holder: { delegateId, name, version },
    timing: result.timing,
  };
}

// --- the errors that the manager itself ends a task with; each tells what was tried, not only that it failed ---

/** How an attempt was lost, as its story tells it. */
const LOST: Readonly<Partial<Record<TaskEvent['what'], string>>> = {
  'lease-expired': 'lost its lease',
  'not-held': 'was forgotten',
  'given-up': 'was given up',
};

export function leaseExpiredError(task: TaskRecord): WireError {
  const begun = new Set(task.history.flatMap(({ attempt, what }) => (what === 'accepted' ? attempt : [])));
  const story = task.history.flatMap(({ attempt, what, holder, at }) => {
    const how = LOST[what];
    return how === undefined || !begun.has(attempt)
      ? []
      : [`attempt ${attempt} at ${describe(holder)} ${how} ${at}`];
  });
  const message = `${task.losses} attempts were begun and none came back: ${story.join('; ')}`;
  return managerError('lease-expired', message, { details: { history: story } }).toWire();
}

export function notAcceptedError(task: TaskRecord): WireError {
  const last = task.history.findLast(({ what }) => what === 'accept-overdue' || LOST[what] !== undefined);
  const message = `${task.misses} offers came to nothing; the last, attempt ${task.attempt}, to ${describe(last?.holder ?? null)}`;
  return managerError('not-accepted', message).toWire();
}

/** Its holder still names it as running a full lease after it should have ended. */
export function overranError(task: AcceptedTask): WireError {
  return managerError('overran', `${taken(task)} and ${stillNames(task)}`).toWire();
}

/** The end of an attempt that may have written, when nobody can say any more whether it has. */
export function outcomeUnknownError(
  task: AcceptedTask,
  why: 'not-held' | 'overran' | 'never-returned',
): WireError {
  const story = {
    'not-held': 'came back without any memory of it',
    overran: stillNames(task),
    'never-returned': 'did not come back with it in time',
  }[why];
  const { holder, acceptedAt } = task.state;
  const message = `${taken(task)} and ${story}; whether it has written is not known`;
  const details = {
    attempt: task.attempt,
    delegateId: holder.delegateId,
    delegate: holder.name,
    version: holder.version,
    acceptedAt,
  };
  return managerError('outcome-unknown', message, { details }).toWire();
}

/** What an orphaned task waits for. */
export function whyOrphaned(task: AcceptedTask): string {
  return `${taken(task)} and is silent about it; it may have written, so nobody else is asked`;
}

/** Why a task waits, in a sentence that names whoever is connected. */
export function whyWaiting(task: TaskRecord, blocked: Blocked, connected: readonly Candidate[]): string {
  if (connected.length === 0) return 'no delegate is connected';
  const tags = task.selectors.join(', ');
  const missing =
    blocked === 'no-delegate'
      ? `no connected delegate has the tags ${tags}`
      : `no delegate${tags === '' ? '' : ` with the tags ${tags}`} takes another task at the moment`;
  return `${missing}; connected: ${list(connected)}`;
}

export function queueTimeoutError(
  task: TaskRecord,
  blocked: Blocked,
  connected: readonly Candidate[],
  waitedMs: number,
): WireError {
  return managerError(blocked, `Waited ${waitedMs} ms: ${whyWaiting(task, blocked, connected)}`).toWire();
}

export function cancelledError(reason: string): WireError {
  return managerError('cancelled', reason).toWire();
}

export function unsendableError(complaint: string): WireError {
  return managerError('input-not-sendable', `The task does not fit into a frame: ${complaint}`).toWire();
}

function stillNames({ timeoutMs }: AcceptedTask): string {
  return `still names it as running, though it was to end within ${timeoutMs} ms`;
}

function taken({ attempt, state }: AcceptedTask): string {
  return `Delegate ${describe(state.holder)} took attempt ${attempt} at ${state.acceptedAt}`;
}

function describe(holder: Holder | null): string {
  return holder === null ? 'nobody' : `${holder.name} (${holder.version})`;
}

function list(connected: readonly Candidate[]): string {
  const shown = connected
    .slice(0, MAX_NAMED_DELEGATES)
    .map(({ delegate, tags }) => `${delegate.name} ${delegate.version} [${[...tags].join(', ')}]`);
  const more = connected.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}
