import { errorsOf, type ErrorKinds } from '../../../kit/errors.ts';

/** What a test of a connector finds by itself; the other codes in a report are those of whatever failed. */
export const VALIDATION_ERRORS = {
  'network.certificate-expires-soon': {
    category: 'unavailable',
    means:
      'A warning: the TLS certificate of ServiceNow or of the token server ends within 30 days. No connection to it ' +
      'will be made from then on.',
    remedy: "Have the server's certificate renewed before that day.",
  },
  'servicenow.request-queued': {
    category: 'throttled',
    means:
      'A warning: ServiceNow answered, but kept the request waiting for over a second, by its own account ' +
      '(Server-Timing: sem_wait, sesh_wait).',
    remedy:
      'Other integrations keep the API threads of the instance busy: look for them in its semaphores, or expect slow answers.',
  },
  'servicenow.no-visible-tasks': {
    category: 'permission',
    means:
      'A warning: ServiceNow accepts the user and shows it no ticket. It answers so to a user without the roles for them.',
    remedy:
      'Give the user the roles for what it shall read, usually itil, or sn_change_read, sn_incident_read and sn_problem_read.',
  },
  'servicenow.clock-skew': {
    category: 'unavailable',
    means:
      'A warning: the clock of this machine and that of ServiceNow or of the token server are more than 30 s apart. ' +
      'Tokens and change windows are judged by the time.',
    remedy: 'Synchronise it (NTP): tokens and change windows are judged by the time.',
  },
  'servicenow.test-out-of-time': {
    category: 'timeout',
    retryable: true,
    means: 'A check of the connection was not done when the time of the task was up.',
    remedy:
      'ServiceNow, the token server or the secret store is slow, or the network between: the checks before it tell how far it came.',
  },
} as const satisfies ErrorKinds;

export const validationError = errorsOf(VALIDATION_ERRORS);
