import { errorsOf, type ErrorKind, type ErrorKinds } from '../kit/errors.ts';
import type { RejectCode } from '../protocol/messages.ts';

/** What a delegate refuses a task with; retryable where the same delegate may take it later. */
export const REFUSAL_ERRORS = {
  'unknown-task': {
    category: 'refused',
    means: 'No connected delegate with the tags knows a task of this name.',
    remedy: 'Check the name and version of the task, or upgrade a delegate.',
  },
  'unsupported-version': {
    category: 'refused',
    means: 'The connected delegates know the task in other versions only.',
    remedy: 'Check the name and version of the task, or upgrade a delegate.',
  },
  'invalid-input': {
    category: 'invalid-input',
    means: 'The input of the task is not what its type asks for; the message names each field.',
    remedy: 'Correct the named fields.',
  },
  'no-credit': {
    category: 'unavailable',
    retryable: true,
    means: 'A delegate was given more tasks than it had asked for.',
    remedy: 'Nothing, if it passes; otherwise compare the versions of delegate and manager.',
  },
  draining: {
    category: 'unavailable',
    retryable: true,
    means: 'The delegate is about to stop and takes no more tasks.',
    remedy: 'Nothing, if it comes back; otherwise start another delegate with the same tags.',
  },
  'stale-attempt': {
    category: 'unavailable',
    retryable: true,
    means: 'The delegate knows a later attempt of the task than the one it was offered.',
    remedy: 'Nothing, if it passes; otherwise the manager has lost a part of its store.',
  },
  'policy-denied': {
    category: 'policy',
    means: 'The policy of the delegate forbids what the task asks for.',
    remedy: 'Ask whoever runs the delegate to allow it in its policy, or change the task.',
  },
  'bad-signature': {
    category: 'credentials',
    means: 'The task is not signed by a key that the delegate trusts, or has been changed on its way.',
    remedy:
      'Compare the signing keys that the delegate was enrolled with to those of the manager, and their clocks.',
  },
  'outbox-full': {
    category: 'unavailable',
    retryable: true,
    means: 'The delegate holds as many unacknowledged results as it may and takes no more tasks.',
    remedy:
      'Nothing, if it passes; otherwise look into the logs of both sides for results that never arrive.',
  },
} as const satisfies Readonly<Record<RejectCode, ErrorKind>>;

/** What the manager itself ends a task or an approval with, or refuses to whoever embeds it. */
export const MANAGER_ERRORS = {
  ...REFUSAL_ERRORS,
  'invalid-options': {
    category: 'invalid-input',
    means: 'The manager was started with options that it cannot work with; the message names each.',
    remedy: 'Correct the named options.',
  },
  'manager-closed': {
    category: 'unavailable',
    retryable: true,
    means: 'The manager is closing, or closed.',
    remedy: 'Ask again when it is back.',
  },
  'connector-not-found': {
    category: 'not-found',
    means: 'The manager has no connector of this identifier, or it was deleted while an approval waited.',
    remedy: 'Store the connector first; GET /api/v1/connectors lists those that there are.',
  },
  'task-not-found': {
    category: 'not-found',
    means: 'The manager has no such task. The oldest of those that have ended are forgotten.',
    remedy: 'Check the id.',
  },
  'too-many-approvals': {
    category: 'unavailable',
    retryable: true,
    means: 'As many approvals wait as the manager takes.',
    remedy: 'Cancel those that nobody needs any more, or wait until some are decided.',
  },
  'too-many-tasks': {
    category: 'unavailable',
    retryable: true,
    means: 'As many tasks are open as the manager takes.',
    remedy: 'Start more delegates, raise their capacity, or give the manager less at once.',
  },
  'too-many-enrolment-tokens': {
    category: 'unavailable',
    means: 'The manager keeps as many enrolment tokens as it takes.',
    remedy: 'Use one that is not single-use for several delegates; used and expired ones are kept too.',
  },
  'too-many-signing-keys': {
    category: 'refused',
    means: 'The manager publishes as many task-signing keys as one set can name.',
    remedy: 'Retire those that are not needed any more (DELETE /api/v1/task-signing-keys/{kid}).',
  },
  'last-signing-key': {
    category: 'refused',
    means: 'A manager that signs tasks needs a key: the last one cannot be retired.',
    remedy: 'Publish another one first (POST /api/v1/task-signing-keys), then retire this one.',
  },
  'unreadable-decision': {
    category: 'bad-response',
    means: 'A delegate looked at a ticket and answered without a decision that this manager can read.',
    remedy: 'Compare the versions of delegate and manager.',
  },
  'delegate-too-old': {
    category: 'refused',
    means: 'Every connected delegate with the tags is older than the feature that the connector uses.',
    remedy: 'Upgrade one of these delegates, or start a newer one with the same tags.',
  },
  'no-delegate': {
    category: 'unavailable',
    retryable: true,
    means: 'No delegate with the tags was connected for as long as the task may wait.',
    remedy: 'Start a delegate with these tags, or correct the selectors.',
  },
  'no-capacity': {
    category: 'unavailable',
    retryable: true,
    means: 'Every delegate that could do the task was busy for as long as the task may wait.',
    remedy: 'Raise the capacity of a delegate, or start another with the same tags.',
  },
  'not-accepted': {
    category: 'unavailable',
    retryable: true,
    means: 'The task was offered again and again, and no delegate took it.',
    remedy: 'The delegate is connected but does not answer in time; look into its log.',
  },
  'lease-expired': {
    category: 'unavailable',
    retryable: true,
    means: 'Delegates began the task and fell silent, as often as a task may be begun.',
    remedy:
      'Look into the logs of these delegates around these times: a crash, a blocked process or a cut network.',
  },
  overran: {
    category: 'timeout',
    retryable: true,
    means: 'A delegate still worked on the task a full lease after its time was over.',
    remedy: 'The work does not stop at its deadline; look into the log of this delegate.',
  },
  'outcome-unknown': {
    category: 'ambiguous',
    means: 'A delegate that may have written fell silent, and nobody can say any more whether it has.',
    remedy: 'Look at the record before doing it again.',
  },
  cancelled: {
    category: 'cancelled',
    means: 'The task was cancelled; the message is the reason that was given.',
    remedy: 'Nothing, if that was wanted; otherwise start it again.',
  },
  'input-not-sendable': {
    category: 'invalid-input',
    means: 'The task does not fit into one frame of the protocol.',
    remedy: 'Make the input smaller or flatter.',
  },
} as const satisfies ErrorKinds;

export const managerError = errorsOf(MANAGER_ERRORS);
