import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

/** What a task can end with that is not its connector's doing, and what keeps a delegate from working. */
export const DELEGATE_ERRORS = {
  cancelled: {
    category: 'cancelled',
    means: 'The manager cancelled the task while it ran.',
    remedy: 'Nothing is wrong. Start the task again if it is still wanted.',
  },
  timeout: {
    category: 'timeout',
    retryable: true,
    means: 'The task did not end within the time that the manager gave it.',
    remedy: 'If it happens again, ServiceNow or the token server answers too slowly for this limit.',
  },
  interrupted: {
    category: 'unavailable',
    retryable: true,
    means:
      'The delegate was stopped, or ended, before the task did. If the task writes, nobody knows whether it wrote: its outcome is then unknown, its category ambiguous, and it is not repeated.',
    remedy: 'Start it again; another delegate, or this one after its restart, will take it.',
  },
  'lease-lost': {
    category: 'unavailable',
    retryable: true,
    means:
      'The delegate was cut off from the manager for so long that the task may have been given to another delegate, so it gave the task up.',
    remedy: 'Look at the network between the delegate and the manager if it happens again.',
  },
  'revoked-while-running': {
    category: 'unavailable',
    retryable: true,
    means:
      'The manager revoked this delegate while the task ran, so the delegate gave the task up. If the task writes, nobody knows whether it wrote: its outcome is then unknown, its category ambiguous.',
    remedy: 'Start it again on another delegate.',
  },
  discarded: {
    category: 'cancelled',
    means: 'The manager gave the task to another attempt; this one was given up.',
    remedy: 'Nothing is to be done: the other attempt brings the result.',
  },
  'result-too-large': {
    category: 'bad-response',
    means: 'The task ended, and its result does not fit into one frame of the protocol.',
    remedy: 'Ask for less: fewer fields, or shorter ones.',
  },
  'journal-unwritable': {
    category: 'unavailable',
    retryable: true,
    means: 'The delegate takes no task that it cannot record, and its disk did not take the record.',
    remedy: 'Look at the disk of the state folder: is it full, read-only, or failing?',
  },
  internal: {
    category: 'internal',
    means: 'Something happened that nobody foresaw: a defect of the delegate.',
    remedy: 'This is a defect of the delegate; its log has the task.',
  },
  'enrolment-token-missing': {
    category: 'credentials',
    means: 'The delegate has no identity at this manager, and no enrolment token to get one with.',
    remedy:
      'Make an enrolment token in the manager and set DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE.',
  },
  superseded: {
    category: 'refused',
    means:
      'Another process connected to the manager with the identity of this one. This one stopped for good.',
    remedy: 'Give each delegate a state folder of its own. This one stops, so that the two do not fight.',
  },
  'manager-unreachable': {
    category: 'unavailable',
    retryable: true,
    means: 'No connection to the manager could be made.',
    remedy: 'The delegate tries again; check the address, DNS, firewall and TLS trust if it goes on.',
  },
  'identity-unusable': {
    category: 'internal',
    means:
      "The delegate's identity, its key and its name at the manager, cannot be read from its state folder or written to it.",
    remedy:
      'Give the user that the delegate runs as a state folder that it may read and write (DELEGATE_STATE_DIR), on a disk with room.',
  },
  'state-folder-unusable': {
    category: 'internal',
    means: 'A file or folder in the state folder cannot be read or written.',
    remedy:
      'Give the user that the delegate runs as a state folder that it may read and write (DELEGATE_STATE_DIR).',
  },
  'state-folder-in-use': {
    category: 'refused',
    means:
      'Another process works in this state folder, or took it over while this one could not reach its disk.',
    remedy: 'Give each delegate a state folder of its own (DELEGATE_STATE_DIR).',
  },
} as const satisfies ErrorKinds;

export const delegateError = errorsOf(DELEGATE_ERRORS);

/** What the manager answers to a delegate that it does not let in. See `ManagerRefusal`. */
export const MANAGER_REFUSAL_ERRORS = {
  'enrolment-token-refused': {
    category: 'unavailable',
    retryable: true,
    means: 'The enrolment token is unknown to the manager: mistyped, used up or too old (HTTP 401).',
    remedy:
      'Make a new enrolment token in the manager and set DELEGATE_ENROLMENT_TOKEN or DELEGATE_ENROLMENT_TOKEN_FILE.',
  },
  'instance-taken': {
    category: 'unavailable',
    retryable: true,
    means: 'The manager knows the instance id of this state folder by another key (HTTP 409).',
    remedy: 'The state folder is an old copy of another one. Restore the newest, or empty it and enrol anew.',
  },
  'enrolment-failed': {
    category: 'unavailable',
    retryable: true,
    means: 'The manager answered the enrolment with a status, or with a body, that means nothing here.',
    remedy: 'Check DELEGATE_MANAGER_URL; the delegate asks again.',
  },
  'not-authenticated': {
    category: 'unavailable',
    retryable: true,
    means:
      'The manager does not accept the token that the delegate connects with (HTTP 401): it does not know the key, or the clocks of the two differ.',
    remedy: 'If the manager was set up anew, give the delegate an enrolment token.',
  },
  'key-rotation-refused': {
    category: 'unavailable',
    retryable: true,
    means:
      'The manager did not accept a new key for this delegate, or answered with something that means nothing here. The present key goes on.',
    remedy: "Nothing at once: the delegate asks again. If it goes on, look at the manager's log.",
  },
  'unsupported-version': {
    category: 'unavailable',
    retryable: true,
    means: "The manager does not speak this delegate's version of the protocol (HTTP 426).",
    remedy: 'Upgrade the delegate.',
  },
  'upgrade-refused': {
    category: 'unavailable',
    retryable: true,
    means:
      'The manager, or something before it, answered the connection with a status instead of a WebSocket.',
    remedy: 'Check DELEGATE_MANAGER_URL, and that proxies and load balancers between let WebSockets through.',
  },
  forbidden: {
    category: 'unavailable',
    retryable: true,
    means:
      'The answer was HTTP 403, and its body is not that of a manager which revokes: a proxy or a firewall may have given it. Work that runs goes on.',
    remedy:
      'Look at the rules of proxies and firewalls on the way to DELEGATE_MANAGER_URL, then ask the owner of the manager.',
  },
  revoked: {
    category: 'unavailable',
    retryable: true,
    means: 'The manager has revoked this delegate (HTTP 403 in its own words, or close code 4403).',
    remedy:
      'Ask the owner of the manager; to come back as a new delegate, empty the state folder and use a new token.',
  },
} as const satisfies ErrorKinds;
