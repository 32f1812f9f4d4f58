import { judgeWindow, type ChangeWindow, type WindowJudgement, type WindowReport } from './change-window.ts';
import { evaluate, fieldsOf, type Criteria } from './criteria.ts';
import { whatHolds, whatIsOpen } from './reason.ts';
import { fieldOf, type TicketFields } from './ticket.ts';
import type { ConditionResult, CriteriaResult } from './trace.ts';

export interface ApprovalQuestion {
  readonly approval: Criteria;
  /** Null: nothing is ever rejected. */
  readonly rejection: Criteria | null;
  /** Null: any time will do. */
  readonly window: ChangeWindow | null;
}

export interface ApprovalAnswer {
  decision: 'approved' | 'rejected' | 'pending';
  /** One sentence for the person who waits. */
  reason: string;
  approval: CriteriaResult;
  /** Null if there are none, or if they were not looked at because the approval criteria are met. */
  rejection: CriteriaResult | null;
  /** Null if there is none, or if it was not looked at because the approval criteria are not met. */
  window: WindowReport | null;
}

/** Every field that an answer will need, in no particular order. */
export function fieldsNeeded({ approval, rejection, window }: ApprovalQuestion): ReadonlySet<string> {
  return new Set([
    ...fieldsOf(approval),
    ...(rejection === null ? [] : fieldsOf(rejection)),
    ...(window === null ? [] : [window.startField, window.endField]),
  ]);
}

/**
 * One look at a ticket. The approval criteria go first: where they are met, the window alone decides whether it
 * is time, and the rejection criteria have no say; where both match, approval therefore wins.
 *
 * @param question.now milliseconds since the epoch
 * @throws DelegateError `servicenow.field-missing` for any field of the question, whether or not the decision
 * would depend on it: a typo shall show at the first look, not on the night of the change. Also whatever
 * `evaluate` and `judgeWindow` throw.
 */
export function decide(question: ApprovalQuestion & { fields: TicketFields; now: number }): ApprovalAnswer {
  const { fields, now, window } = question;
  for (const name of fieldsNeeded(question)) fieldOf(fields, name);

  const approval = evaluate(question.approval, fields);
  if (approval.met) {
    const holds = whatHolds(approval.conditions.filter(isMet));
    if (window === null) {
      return { decision: 'approved', reason: `approved: ${holds}`, approval, rejection: null, window };
    }
    const judgement = judgeWindow(window, fields, now);
    return { ...byWindow(judgement, holds), approval, rejection: null, window: judgement.report };
  }

  const rejection = question.rejection === null ? null : evaluate(question.rejection, fields);
  if (rejection?.met === true) {
    const reason = `rejected: ${whatHolds(rejection.conditions.filter(isMet))}`;
    return { decision: 'rejected', reason, approval, rejection, window: null };
  }
  const unmet = approval.conditions.filter((condition) => !condition.met);
  const anyWillDo = question.approval.type === 'KeyValues' && question.approval.matchAnyCondition;
  const lead = anyWillDo && unmet.length > 1 ? 'waiting for any one of these to change' : 'waiting';
  return { decision: 'pending', reason: `${lead}: ${whatIsOpen(unmet)}`, approval, rejection, window: null };
}

function byWindow(
  { phase, phrase }: WindowJudgement,
  holds: string,
): Pick<ApprovalAnswer, 'decision' | 'reason'> {
  if (phase === 'inside') {
    return { decision: 'approved', reason: `approved: ${holds}, and the change window ${phrase}` };
  }
  if (phase === 'past') return { decision: 'rejected', reason: `rejected: the change window ${phrase}` };
  return { decision: 'pending', reason: `waiting for the change window: it ${phrase}` };
}

function isMet({ met }: ConditionResult): boolean {
  return met;
}
