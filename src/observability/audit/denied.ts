import type { DelegateError } from '../../kit/errors.ts';
import type { AuditEvent } from './events.ts';

/** Where a denial says what it was about, the most telling first. */
const SUBJECTS = [
  'host',
  'address',
  'instance',
  'tokenServer',
  'origin',
  'reference',
  'table',
  'task',
] as const;

/** What the policy did not let pass, wherever it was asked. */
export function deniedRecord({ code, message, details = {} }: DelegateError): AuditEvent {
  const subject = SUBJECTS.map((key) => details[key]).find((detail) => typeof detail === 'string');
  const { rule } = details;
  return {
    event: 'policy-denied',
    code,
    rule: typeof rule === 'string' ? rule : null,
    subject: subject ?? null,
    why: message,
  };
}
