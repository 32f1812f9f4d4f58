import { clip } from './text.ts';
import { shownOf, type FieldSides, type FieldValue } from './ticket.ts';

/** The operators of `KeyValues` conditions, as people write them. */
export const OPERATORS = [
  'equals',
  'not equals',
  'in',
  'not in',
  'contains',
  'not contains',
  'starts with',
  'matches',
  'greater than',
  'greater than or equals',
  'less than',
  'less than or equals',
] as const;

export type Operator = (typeof OPERATORS)[number];

/**
 * One vocabulary for both kinds of criteria, so that a reader of the trace needs to know one. Two come from
 * expressions alone: `!~` with a pattern, and a bare `true` or `false`.
 */
export type TraceOperator = Operator | 'not matches' | 'is';

/**
 * One comparison that was made, and how it came out. A type alias, because an interface does not fit an output
 * schema that lets further keys through.
 */
export type ConditionResult = {
  /** The field's name; for a bare `true` or `false`, that word. */
  key: string;
  operator: TraceOperator;
  /** As it was written; '' stands for blank. */
  expected: string;
  value: string;
  displayValue: string;
  /** Which of the two was compared. */
  compared: 'either' | 'value' | 'displayValue';
  met: boolean;
};

export interface CriteriaResult {
  met: boolean;
  /** Never empty. Of an expression, those comparisons that were needed. */
  conditions: ConditionResult[];
}

/** Bound on each text in the trace: journals run to many kilobytes, and the trace repeats them. */
export const MAX_TRACE_TEXT_CHARS = 1_024;

export function traced(
  entry: Omit<ConditionResult, keyof FieldSides> & { field: FieldValue },
): ConditionResult {
  const { field, expected, ...rest } = entry;
  const { value, displayValue } = shownOf(field);
  return {
    ...rest,
    expected: clip(expected, MAX_TRACE_TEXT_CHARS),
    value: clip(value, MAX_TRACE_TEXT_CHARS),
    displayValue: clip(displayValue, MAX_TRACE_TEXT_CHARS),
  };
}
