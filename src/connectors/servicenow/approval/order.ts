import type { DelegateError } from '../../../kit/errors.ts';
import { approvalError } from './errors.ts';
import { clip, isBlank, MAX_QUOTED_CHARS, quoted } from './text.ts';
import { parseUtc } from './utc.ts';

/** What has an order: a number, or a point in time. Never one with the other. */
export interface Ordinal {
  readonly kind: 'number' | 'date';
  /** The number, or milliseconds since the epoch. */
  readonly at: number;
}

const NUMBER = /^[+-]?\d+(?:\.\d+)?$/;

/** A double holds any number of so many decimal digits exactly; a longer one could equal its neighbour. */
export const MAX_NUMBER_DIGITS = 15;

/** Undefined for whatever is not a plain decimal number of at most 15 digits. */
export function parseNumber(text: string): number | undefined {
  const trimmed = text.trim();
  if (!NUMBER.test(trimmed) || trimmed.replace(/[+.-]/g, '').length > MAX_NUMBER_DIGITS) return undefined;
  return Number(trimmed);
}

export function parseOrdinal(text: string): Ordinal | undefined {
  const number = parseNumber(text);
  if (number !== undefined) return { kind: 'number', at: number };
  const date = parseUtc(text.trim());
  return date === undefined ? undefined : { kind: 'date', at: date.epochMs };
}

export type OrderOperator = '<' | '<=' | '>' | '>=';

const ORDERINGS: Readonly<Record<OrderOperator, (left: number, right: number) => boolean>> = {
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
};

/** Undefined if the two have no common order. */
export function compareOrder(
  operator: OrderOperator,
  left: Ordinal | undefined,
  right: Ordinal | undefined,
): boolean | undefined {
  if (left === undefined || right === undefined || left.kind !== right.kind) return undefined;
  return ORDERINGS[operator](left.at, right.at);
}

/**
 * `servicenow.not-comparable`. An error rather than "not met", because under a negation or in a rejection
 * criterion "not met" would let the change through.
 */
export function notComparable(comparison: {
  /** What was read: a field name or a reference such as `ticket.risk.value`. */
  subject: string;
  actual: string;
  operator: string;
  /** As it was written. */
  expected: string;
  /** Default: the remedy of the code. */
  hint?: string;
}): DelegateError {
  const { subject, actual, operator, expected, hint } = comparison;
  const found = isBlank(actual) ? 'is blank' : `is ${quoted(actual)}`;
  return approvalError(
    'servicenow.not-comparable',
    `${subject} ${found}, which can't be compared by "${operator}" with ${clip(expected, MAX_QUOTED_CHARS)}.`,
    { hint, details: { subject, operator } },
  );
}
