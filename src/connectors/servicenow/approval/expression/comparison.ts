import { parseOrdinal, type OrderOperator } from '../order.ts';
import { compilePattern } from '../pattern.ts';
import { quoted } from '../text.ts';
import type { Comparison, Condition, FieldReference, Literal, Place, Value } from './ast.ts';
import { ExpressionError } from './errors.ts';

export const COMPARISON_OPERATORS = ['==', '!=', '<', '<=', '>', '>=', '=~', '!~'] as const;

export type ComparisonOperator = (typeof COMPARISON_OPERATORS)[number];

type SymmetricOperator = Exclude<ComparisonOperator, '=~' | '!~'>;

/** The operator to use when the two sides change places. */
const MIRRORED: Readonly<Record<SymmetricOperator, SymmetricOperator>> = {
  '==': '==',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/**
 * A comparison whose two sides fit each other, with the field on the left.
 *
 * @throws ExpressionError where they don't, at the side that is wrong
 */
export function comparison(
  source: string,
  left: Value,
  operator: ComparisonOperator,
  right: Value,
): Condition {
  const { offset } = left;
  const fail: Fail = (at, problem) => {
    throw new ExpressionError(source, at.offset, problem);
  };

  if (operator === '=~' || operator === '!~') {
    const field = left.kind === 'field' ? left : fail(left, `"${operator}" needs a field on its left side`);
    return { kind: 'comparison', offset, field, comparison: match(operator === '!~', right, fail) };
  }

  if (left.kind === 'field') {
    return { kind: 'comparison', offset, field: left, comparison: compare(operator, right, fail) };
  }
  if (right.kind === 'field') {
    return { kind: 'comparison', offset, field: right, comparison: compare(MIRRORED[operator], left, fail) };
  }
  return fail(left, 'two fixed values are compared; one side must be a field, written ticket.<field>.value');
}

/** The comparison that `empty x` stands for. */
export function isEmpty(field: FieldReference, { offset }: Place): Condition {
  const blank: Literal = { kind: 'blank', offset: field.offset, end: field.end };
  return { kind: 'comparison', offset, field, comparison: { by: 'equality', negative: false, with: blank } };
}

type Fail = (at: Place, problem: string) => never;

function compare(operator: SymmetricOperator, other: Value, fail: Fail): Comparison {
  if (other.kind === 'list') return fail(other, 'a list can only stand on the right of "=~" or "!~"');
  if (operator === '==' || operator === '!=') {
    return { by: 'equality', negative: operator === '!=', with: other };
  }
  return { by: 'order', operator, with: orderable(operator, other, fail) };
}

function orderable(
  operator: OrderOperator,
  other: Literal | FieldReference,
  fail: Fail,
): Literal | FieldReference {
  if (other.kind === 'field' || other.kind === 'number') return other;
  if (other.kind === 'text' && parseOrdinal(other.value) !== undefined) return other;
  const found = other.kind === 'text' ? quoted(other.value) : `a ${other.kind} value`;
  return fail(
    other,
    `"${operator}" needs a number or a UTC date ("yyyy-MM-dd" or "yyyy-MM-dd HH:mm:ss"), not ${found}`,
  );
}

function match(negative: boolean, right: Value, fail: Fail): Comparison {
  if (right.kind === 'list') return { by: 'membership', negative, items: right.items };
  if (right.kind !== 'text')
    return fail(right, 'a list such as ["a", "b"] or a pattern in quotes is needed here');
  const compiled = compilePattern(right.value, { caseSensitive: true });
  if ('problem' in compiled) return fail(right, `the pattern ${compiled.problem}`);
  return { by: 'pattern', negative, source: right.value, pattern: compiled.pattern };
}
