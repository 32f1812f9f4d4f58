import { expect } from 'chai';
import {
  approvalCriteriaSchema,
  evaluate,
  type Criteria,
} from '../../../../src/connectors/servicenow/approval/criteria.ts';
import type { TicketFields } from '../../../../src/connectors/servicenow/approval/ticket.ts';
import type { CriteriaResult, Operator } from '../../../../src/connectors/servicenow/approval/trace.ts';
import { DelegateError } from '../../../../src/kit/errors.ts';

/** Fields by name, each `[value, displayValue]` or one text for both. */
export function ticket(fields: Record<string, string | readonly [string, string]>): TicketFields {
  return new Map(
    Object.entries(fields).map(([name, given]) => {
      const [value, displayValue] = typeof given === 'string' ? [given, given] : given;
      return [name, { value, displayValue }];
    }),
  );
}

export interface WrittenCondition {
  key: string;
  operator: Operator;
  value: string;
}

export function keyValues(
  conditions: WrittenCondition[],
  options: { matchAnyCondition?: boolean; caseSensitive?: boolean } = {},
): Criteria {
  return approvalCriteriaSchema.parse({ type: 'KeyValues', spec: { ...options, conditions } });
}

export function expressionCriteria(expression: string): Criteria {
  return approvalCriteriaSchema.parse({ type: 'Expression', spec: { expression } });
}

export function evaluateText(expression: string, fields: TicketFields): CriteriaResult {
  return evaluate(expressionCriteria(expression), fields);
}

/** The error that the work throws, which must be a `DelegateError` of this code. */
export function errorOf(code: string, work: () => unknown): DelegateError {
  try {
    work();
  } catch (error) {
    expect(error).to.be.instanceOf(DelegateError).and.to.have.property('code', code);
    if (error instanceof DelegateError) return error;
  }
  return expect.fail(`nothing was thrown where ${code} was expected`);
}
