import { compareOrder, notComparable, parseNumber, parseOrdinal, type OrderOperator } from '../order.ts';
import { isBlank } from '../text.ts';
import { fieldOf, shownOf, type TicketFields } from '../ticket.ts';
import { traced, type ConditionResult, type CriteriaResult, type TraceOperator } from '../trace.ts';
import type { Comparison, Condition, FieldReference, Literal, Span } from './ast.ts';
import type { Expression } from './parser.ts';

/**
 * Evaluates from left to right and no further than the outcome needs. A negation is carried down to the
 * comparisons (`!(a && b)` is `!a || !b`), so that each entry of the trace says by itself whether it helped:
 * wherever the whole is not met, the entries that are not met are the reason.
 *
 * @throws DelegateError `servicenow.field-missing`, `servicenow.not-comparable`, `servicenow.value-too-long`
 */
export function evaluateExpression(expression: Expression, fields: TicketFields): CriteriaResult {
  const run: Run = { source: expression.source, fields, conditions: [] };
  return { met: holds(expression.root, false, run), conditions: run.conditions };
}

interface Run {
  readonly source: string;
  readonly fields: TicketFields;
  readonly conditions: ConditionResult[];
}

function holds(condition: Condition, negated: boolean, run: Run): boolean {
  if (condition.kind === 'not') return holds(condition.operand, !negated, run);
  if (condition.kind === 'comparison') return compare(condition.field, condition.comparison, negated, run);
  if (condition.kind === 'constant') return isConstantMet(condition.value, negated, run);
  const needsEvery = (condition.kind === 'all') !== negated;
  const isMet = (term: Condition): boolean => holds(term, negated, run);
  return needsEvery ? condition.terms.every(isMet) : condition.terms.some(isMet);
}

function isConstantMet(value: boolean, negated: boolean, run: Run): boolean {
  const met = value !== negated;
  const key = String(value);
  const field = { value: key, displayValue: key };
  run.conditions.push(
    traced({ key, operator: 'is', expected: String(!negated), field, compared: 'either', met }),
  );
  return met;
}

// --- comparing --------------------------------------------------------------------------------------------

function compare(reference: FieldReference, comparison: Comparison, negated: boolean, run: Run): boolean {
  const operator = traceOperator(comparison, negated);
  const met = matches(reference, comparison, operator, run) !== isNegative(comparison, negated);
  run.conditions.push(
    traced({
      key: reference.field,
      operator,
      expected: expectedText(comparison, run),
      field: fieldOf(run.fields, reference.field),
      compared: reference.side,
      met,
    }),
  );
  return met;
}

/** The comparison read positively: `!=` and `!~` as `==` and `=~`. */
function matches(
  reference: FieldReference,
  comparison: Comparison,
  operator: TraceOperator,
  run: Run,
): boolean {
  const actual = read(reference, run);
  const refuse = (expected: Span): never => {
    throw notComparable({
      subject: sourceOf(reference, run),
      actual: readShown(reference, run),
      operator,
      expected: sourceOf(expected, run),
      hint: reference.side === 'value' ? COMPARABLE_VALUES : COMPARE_THE_VALUE,
    });
  };
  // Parts and order are those of what may be shown: see `FieldTest`.
  if (comparison.by === 'pattern') return comparison.pattern.matches(readShown(reference, run));
  if (comparison.by === 'equality') return isEqual(actual, comparison.with, run, refuse);
  if (comparison.by === 'membership') {
    return comparison.items.some((item) => isEqual(actual, item, run, refuse));
  }
  const expected = parseOrdinal(textOf(comparison.with, run));
  const ordinal = parseOrdinal(readShown(reference, run));
  return compareOrder(comparison.operator, ordinal, expected) ?? refuse(comparison.with);
}

const COMPARE_THE_VALUE = 'Compare the .value instead: the display value is text made for people.';
const COMPARABLE_VALUES =
  'Numbers compare with numbers, UTC dates with UTC dates; test with empty(…) first what may be blank.';

function isEqual(
  actual: string,
  expected: Literal | FieldReference,
  run: Run,
  refuse: (expected: Span) => never,
): boolean {
  if (expected.kind === 'blank') return isBlank(actual);
  if (expected.kind === 'text' || expected.kind === 'field') return actual === textOf(expected, run);
  // A field that nobody has filled in is simply not that number; a word in it means that the wrong side is read.
  if (isBlank(actual)) return false;
  const found = expected.kind === 'number' ? parseNumber(actual) : parseBoolean(actual);
  return (found ?? refuse(expected)) === expected.value;
}

function read(reference: FieldReference, run: Run): string {
  return fieldOf(run.fields, reference.field)[reference.side];
}

function readShown(reference: FieldReference, run: Run): string {
  return shownOf(fieldOf(run.fields, reference.field))[reference.side];
}

/** ServiceNow stores booleans as these two words. */
function parseBoolean(text: string): boolean | undefined {
  return text === 'true' || text === 'false' ? text === 'true' : undefined;
}

/** The text that a field holds or a literal means; numbers and booleans as they were written. */
function textOf(value: Literal | FieldReference, run: Run): string {
  if (value.kind === 'field') return read(value, run);
  if (value.kind === 'blank') return '';
  return value.kind === 'text' ? value.value : sourceOf(value, run);
}

// --- explaining -------------------------------------------------------------------------------------------

const ORDER_WORDS: Readonly<Record<OrderOperator, TraceOperator>> = {
  '<': 'less than',
  '<=': 'less than or equals',
  '>': 'greater than',
  '>=': 'greater than or equals',
};

const NEGATED_ORDER: Readonly<Record<OrderOperator, OrderOperator>> = {
  '<': '>=',
  '<=': '>',
  '>': '<=',
  '>=': '<',
};

const MATCH_WORDS = {
  equality: ['equals', 'not equals'],
  membership: ['in', 'not in'],
  pattern: ['matches', 'not matches'],
} as const satisfies Record<Exclude<Comparison['by'], 'order'>, readonly [TraceOperator, TraceOperator]>;

function isNegative(comparison: Comparison, negated: boolean): boolean {
  return comparison.by === 'order' ? negated : comparison.negative !== negated;
}

function traceOperator(comparison: Comparison, negated: boolean): TraceOperator {
  if (comparison.by === 'order') {
    return ORDER_WORDS[negated ? NEGATED_ORDER[comparison.operator] : comparison.operator];
  }
  const [positive, negative] = MATCH_WORDS[comparison.by];
  return isNegative(comparison, negated) ? negative : positive;
}

function expectedText(comparison: Comparison, run: Run): string {
  if (comparison.by === 'pattern') return comparison.source;
  if (comparison.by === 'membership') return comparison.items.map((item) => textOf(item, run)).join(', ');
  const other = comparison.with;
  if (other.kind !== 'field') return textOf(other, run);
  return `${sourceOf(other, run)} (${readShown(other, run) || 'blank'})`;
}

function sourceOf(span: Span, run: Run): string {
  return run.source.slice(span.offset, span.end);
}
