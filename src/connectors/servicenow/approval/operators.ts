import { parseList } from './list.ts';
import { compareOrder, notComparable, parseOrdinal, type OrderOperator } from './order.ts';
import { compilePattern } from './pattern.ts';
import { isBlank, quoted } from './text.ts';
import { isBlankField, shownOf, type FieldValue } from './ticket.ts';
import type { Operator } from './trace.ts';

/**
 * Whether one field satisfies one condition. Only whole texts are compared with what a field holds, parts and order
 * with what may be shown of it: where a ticket repeats a secret, whoever may ask for its beginnings, or whether it is
 * greater, needs few questions to know all of it.
 */
export type FieldTest = (field: FieldValue) => boolean;

export interface ConditionSource {
  readonly key: string;
  readonly operator: Operator;
  readonly value: string;
  readonly caseSensitive: boolean;
}

/** `problem` is a phrase about the condition's value. */
export type CompiledTest = { test: FieldTest } | { problem: string };

type Compile = (source: ConditionSource) => CompiledTest;

/** What can be known of a condition before any ticket is read, such as a bad pattern, is reported here. */
export function compileTest(source: ConditionSource): CompiledTest {
  return COMPILERS[source.operator](source);
}

/** The side that an operator looks at: dates and numbers have an order only as they are stored. */
export function comparedSide(operator: Operator): 'either' | 'value' {
  return operator in ORDER_OPERATORS ? 'value' : 'either';
}

const ORDER_OPERATORS = {
  'greater than': '>',
  'greater than or equals': '>=',
  'less than': '<',
  'less than or equals': '<=',
} as const satisfies Partial<Record<Operator, OrderOperator>>;

const equals: Compile = ({ value, caseSensitive }) => ({ test: oneOf([value], caseSensitive) });

const inList: Compile = ({ value, caseSensitive }) => {
  const list = parseList(value);
  return 'problem' in list ? list : { test: oneOf(list.items, caseSensitive) };
};

const contains = substring((text, part) => text.includes(part));

const COMPILERS: Readonly<Record<Operator, Compile>> = {
  equals,
  'not equals': not(equals),
  in: inList,
  'not in': not(inList),
  contains,
  'not contains': not(contains),
  'starts with': substring((text, part) => text.startsWith(part)),
  matches: matchesPattern,
  'greater than': ordered('greater than'),
  'greater than or equals': ordered('greater than or equals'),
  'less than': ordered('less than'),
  'less than or equals': ordered('less than or equals'),
};

/** A negative operator holds only if neither side matches, which is the plain negation of "either matches". */
function not(positive: Compile): Compile {
  return (source) => {
    const compiled = positive(source);
    return 'problem' in compiled ? compiled : { test: (field) => !compiled.test(field) };
  };
}

function oneOf(expected: readonly string[], caseSensitive: boolean): FieldTest {
  const fold = folding(caseSensitive);
  const wanted = new Set(expected.filter((item) => !isBlank(item)).map(fold));
  const blankIsWanted = expected.some(isBlank);
  return (field) =>
    wanted.has(fold(field.value)) ||
    wanted.has(fold(field.displayValue)) ||
    (blankIsWanted && isBlankField(field));
}

function substring(holds: (text: string, part: string) => boolean): Compile {
  return ({ operator, value, caseSensitive }) => {
    if (isBlank(value)) return { problem: blankProblem(operator) };
    const fold = folding(caseSensitive);
    const part = fold(value);
    return {
      test: (field) => {
        const { value: text, displayValue } = shownOf(field);
        return holds(fold(text), part) || holds(fold(displayValue), part);
      },
    };
  };
}

function matchesPattern({ operator, value, caseSensitive }: ConditionSource): CompiledTest {
  if (isBlank(value)) return { problem: blankProblem(operator) };
  const compiled = compilePattern(value, { caseSensitive });
  if ('problem' in compiled) return { problem: `the pattern ${quoted(value)} ${compiled.problem}` };
  const { pattern } = compiled;
  return {
    test: (field) => {
      const { value: text, displayValue } = shownOf(field);
      return pattern.matches(text) || pattern.matches(displayValue);
    },
  };
}

function ordered(operator: keyof typeof ORDER_OPERATORS): Compile {
  return ({ key, value }) => {
    const expected = parseOrdinal(value);
    if (expected === undefined) {
      return {
        problem: `"${operator}" needs a number or a UTC date (yyyy-MM-dd or yyyy-MM-dd HH:mm:ss), not ${quoted(value)}`,
      };
    }
    const test: FieldTest = (field) => {
      const met = compareOrder(ORDER_OPERATORS[operator], parseOrdinal(shownOf(field).value), expected);
      if (met !== undefined) return met;
      throw notComparable({
        subject: key,
        actual: shownOf(field).value,
        operator,
        expected: quoted(value),
      });
    };
    return { test };
  };
}

function blankProblem(operator: Operator): string {
  return `"${operator}" needs a text; use "equals" with a blank value to find blank fields`;
}

/** Lower case by Unicode's own rules, not by this machine's locale, or a delegate in Turkey would decide differently. */
function folding(caseSensitive: boolean): (text: string) => string {
  return caseSensitive ? (text) => text : (text) => text.toLowerCase();
}
