import type { WireError } from '../kit/errors.ts';
import type { Candidate } from './placement.ts';
import type { Holder, TaskRecord } from './store.ts';

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

/** @param blocked why no delegate took the task while it waited */
export function queueTimeoutError(
  task: TaskRecord,
  blocked: 'no-delegate' | 'no-capacity',
  connected: readonly Candidate[],
  waitedMs: number,
): WireError {
  const wanted =
    task.selectors.length === 0 ? 'No delegate' : `No delegate with the tags ${task.selectors.join(', ')}`;
  const present =
    connected.length === 0
      ? 'nobody is connected'
      : `connected: ${connected
          .map(({ delegate, tags }) => `${delegate.name} ${delegate.version} [${[...tags].join(', ')}]`)
          .join('; ')}`;
  if (blocked === 'no-delegate') {
    return {
      code: 'no-delegate',
      message: `${wanted} was connected within ${waitedMs} ms; ${present}`,
      hint: 'Start a delegate with these tags, or correct the selectors.',
      category: 'unavailable',
      retryable: true,
    };
  }
  return {
    code: 'no-capacity',
    message: `${wanted} had a free slot within ${waitedMs} ms; ${present}`,
    hint: 'Raise the capacity of a delegate, or start another with the same tags.',
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
