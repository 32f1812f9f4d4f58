import { clip, isBlank } from './text.ts';
import type { ConditionResult, TraceOperator } from './trace.ts';

/** Comparisons named in one sentence; the trace has them all. */
const MAX_NAMED = 3;

/** Bound on each value quoted in the sentence. */
const MAX_VALUE_CHARS = 80;

/** `state is New, not Implement; risk is High, not one of Low, Moderate; and 2 more`. */
export function whatIsOpen(unmet: readonly ConditionResult[]): string {
  return joined(unmet.map((result) => `${whatIs(result)}${DEMANDS[result.operator](expectedOf(result))}`));
}

/** `state is Implement; approval is Approved`. */
export function whatHolds(met: readonly ConditionResult[]): string {
  return joined(met.map(whatIs));
}

/** How an unmet demand continues "state is New". */
const DEMANDS: Readonly<Record<TraceOperator, (expected: string) => string>> = {
  equals: (expected) => `, not ${expected}`,
  'not equals': (expected) => ` and must not be ${expected}`,
  in: (expected) => `, not one of ${expected}`,
  'not in': (expected) => ` and must not be one of ${expected}`,
  contains: (expected) => `, which does not contain "${expected}"`,
  'not contains': (expected) => ` and must not contain "${expected}"`,
  'starts with': (expected) => `, which does not start with "${expected}"`,
  matches: (expected) => `, which does not match the pattern ${expected}`,
  'not matches': (expected) => ` and must not match the pattern ${expected}`,
  'greater than': (expected) => `, not greater than ${expected}`,
  'greater than or equals': (expected) => `, less than ${expected}`,
  'less than': (expected) => `, not less than ${expected}`,
  'less than or equals': (expected) => `, greater than ${expected}`,
  is: () => '',
};

function whatIs(result: ConditionResult): string {
  if (result.operator === 'is') return `the expression says ${result.key}`;
  const { key, compared, value, displayValue } = result;
  const shown = isBlank(displayValue) ? value : displayValue;
  if (compared !== 'value' || shown === value) return `${key} is ${phrase(shown)}`;
  // Comparing values where display values were meant is the commonest slip; only the two together show it.
  return `${key} has the value ${phrase(value)} (shown as ${phrase(shown)})`;
}

function expectedOf({ expected }: ConditionResult): string {
  return phrase(expected);
}

function phrase(text: string): string {
  return isBlank(text) ? 'blank' : clip(text.trim().replace(/\s+/g, ' '), MAX_VALUE_CHARS);
}

function joined(parts: readonly string[]): string {
  const distinct = [...new Set(parts)];
  const rest = distinct.length - MAX_NAMED;
  return [...distinct.slice(0, MAX_NAMED), ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ');
}
