import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

/** What the demonstration and the development world fail with. */
export const DEVELOPMENT_ERRORS = {
  'api-refused': {
    category: 'refused',
    means: 'The API of the manager, or of a fake, did not do what the demonstration asked for.',
    remedy: 'The status and the answer are in the message.',
  },
  'demo-failed': {
    category: 'internal',
    means: 'The demonstration went on, and something was not as it should be.',
    remedy: 'Run it again with --verbose to see what every process says.',
  },
  'process-ended': {
    category: 'internal',
    means: 'A process of the demonstration ended before it was ready.',
    remedy: 'Run it again with --verbose to see what the process said last.',
  },
  'process-overdue': {
    category: 'timeout',
    means: 'A process of the demonstration did not get ready in time.',
    remedy: 'Run it again with --verbose to see what the process waits for.',
  },
} as const satisfies ErrorKinds;

export const developmentError = errorsOf(DEVELOPMENT_ERRORS);
