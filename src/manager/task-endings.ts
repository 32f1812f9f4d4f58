import type { WireError } from '../kit/errors.ts';
import type { Blocked, Candidate } from './placement.ts';
import type { Holder, TaskRecord } from './store.ts';

/** One sentence is not to hold thousands of delegates. */
const MAX_NAMED_DELEGATES = 10;

/** The errors that the manager itself ends a task with. Each tells what was tried, not only that it failed. */

export function leaseExpiredError(task: TaskRecord): WireError {
  const lost = task.history.filter(({ what }) => what === 'lease-expired' || what === 'not-held');
  const story = lost.map(
    ({ attempt, what, holder, at }) =>
      `attempt ${attempt} at ${describe(holder)} ${what === 'lease-expired' ? 'lost its lease' : 'was forgotten'} ${at}`,
  );
  return {
    code: 'lease-expired',
    message: `${task.losses} attempts were begun and none came back: ${story.join('; ')}`,
    hint: 'Look into the logs of these delegates around these times: a crash, a blocked process or a cut network.',
    category: 'unavailable',
    retryable: true,
    details: { history: story },
  };
}

export function notAcceptedError(task: TaskRecord): WireError {
  const last = task.history.findLast(({ what }) => what === 'accept-overdue' || what === 'not-held');
  return {
    code: 'not-accepted',
    message: `${task.misses} offers came to nothing; the last, attempt ${task.attempt}, to ${describe(last?.holder ?? null)}`,
    hint: 'The delegate is connected but does not answer in time; look into its log.',
    category: 'unavailable',
    retryable: true,
  };
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
  return {
    code: blocked,
    message: `Waited ${waitedMs} ms: ${whyWaiting(task, blocked, connected)}`,
    hint:
      blocked === 'no-delegate'
        ? 'Start a delegate with these tags, or correct the selectors.'
        : 'Raise the capacity of a delegate, or start another with the same tags.',
    category: 'unavailable',
    retryable: true,
  };
}

export function cancelledError(reason: string): WireError {
  return { code: 'cancelled', message: reason, category: 'cancelled', retryable: false };
}

export function unsendableError(complaint: string): WireError {
  return {
    code: 'input-not-sendable',
    message: `The task does not fit into a frame: ${complaint}`,
    hint: 'Make the input smaller or flatter.',
    category: 'invalid-input',
    retryable: false,
  };
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
