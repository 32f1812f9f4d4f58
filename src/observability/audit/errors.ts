import { errorsOf, type ErrorKinds } from '../../kit/errors.ts';

export const AUDIT_ERRORS = {
  'audit-unwritable': {
    category: 'unavailable',
    retryable: true,
    means:
      'The delegate takes no task that it cannot record in its audit log, and its disk did not take the record.',
    remedy:
      'Look at the disk of the state folder: is it full, read-only, or failing? The delegate tries again by itself.',
  },
  'audit-unreadable': {
    category: 'not-found',
    means: 'The files of the audit log cannot be read.',
    remedy: 'Name the state folder with --state-dir, and run the command as a user who may read it.',
  },
} as const satisfies ErrorKinds;

export const auditError = errorsOf(AUDIT_ERRORS);
