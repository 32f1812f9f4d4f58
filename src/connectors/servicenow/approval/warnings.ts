import type { DelegateError } from '../../../kit/errors.ts';
import { fieldsOf } from './criteria.ts';
import type { ApprovalAnswer, ApprovalQuestion } from './decide.ts';
import { approvalError } from './errors.ts';
import type { TicketFields } from './ticket.ts';

/**
 * Fields that warnings are made of. They are asked for besides those that an answer needs, and a table need not
 * have them: `on_hold` exists on changes alone.
 */
export const WARNING_FIELDS = ['on_hold', 'active'] as const;

/**
 * What the ticket says against the answer, though the criteria don't ask: it is approved and on hold, or waited
 * for and closed. No warning where the criteria themselves look at the field, for then somebody has decided.
 */
export function ticketWarnings(
  question: ApprovalQuestion,
  answer: Pick<ApprovalAnswer, 'decision' | 'approval'>,
  fields: TicketFields,
): DelegateError[] {
  const { decision, approval } = answer;
  const holds = (name: (typeof WARNING_FIELDS)[number], value: string): boolean =>
    fields.get(name)?.value === value;
  const isJudged = (name: (typeof WARNING_FIELDS)[number]): boolean =>
    fieldsOf(question.approval).has(name) ||
    (question.rejection !== null && fieldsOf(question.rejection).has(name));

  if (decision === 'approved' && holds('on_hold', 'true') && !isJudged('on_hold')) {
    const message = 'The ticket is approved although it is on hold: on_hold is true.';
    return [approvalError('servicenow.ticket-on-hold', message, { details: { field: 'on_hold' } })];
  }
  // One that meets the criteria and waits for its window alone will be approved, closed or not.
  if (decision === 'pending' && !approval.met && holds('active', 'false') && !isJudged('active')) {
    const message = 'The ticket is closed and will hardly be approved any more: active is false.';
    return [approvalError('servicenow.ticket-closed', message, { details: { field: 'active' } })];
  }
  return [];
}
