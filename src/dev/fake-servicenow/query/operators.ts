import { extendsTable } from '../records/schema.ts';

/** One field of one row, held against what the query gives. */
export interface Comparison {
  /** As stored: for a reference its sys_id. */
  readonly stored: string;
  /** What the text operators look at: for a reference its display name, else the stored value. */
  readonly text: string;
  /** The field is a number, so 10 is greater than 9. */
  readonly numeric: boolean;
  /** Stored value of another field of the same row; undefined if there is none of that name. */
  readonly other: (field: string) => string | undefined;
  /** Brings two values into a comparable form: lower case where the instance does not mind case. */
  readonly fold: (value: string) => string;
}

export interface Operator {
  /** What has to follow the operator; a term without it is malformed. */
  readonly operand: 'value' | 'nothing' | 'range' | 'field';
  readonly holds: (comparison: Comparison, given: string) => boolean;
}

const equal = ({ stored, fold }: Comparison, given: string): boolean => fold(stored) === fold(given);
const among = (comparison: Comparison, given: string): boolean =>
  given.split(',').some((item) => equal(comparison, item));
const contains = ({ text, fold }: Comparison, given: string): boolean => fold(text).includes(fold(given));

/** Below, at or above zero like a sort; undefined where the two can't be compared. An empty field is nowhere. */
function order({ stored, numeric, fold }: Comparison, given: string): number | undefined {
  if (stored === '') return undefined;
  if (!numeric) return fold(stored) < fold(given) ? -1 : Number(fold(stored) > fold(given));
  const difference = Number(stored) - Number(given);
  return given.trim() === '' || Number.isNaN(difference) ? undefined : difference;
}

function ordered(accept: (difference: number) => boolean): Operator {
  return {
    operand: 'value',
    holds(comparison, given) {
      const difference = order(comparison, given);
      return difference !== undefined && accept(difference);
    },
  };
}

function value(holds: Operator['holds']): Operator {
  return { operand: 'value', holds };
}

/** The operators by their name in an encoded query. One operator, one line. */
export const OPERATORS: Readonly<Record<string, Operator>> = {
  '=': value(equal),
  // An empty field differs from every value, as documented: `active!=true` finds the rows without one.
  '!=': value((comparison, given) => !equal(comparison, given)),
  '<': ordered((difference) => difference < 0),
  '<=': ordered((difference) => difference <= 0),
  '>': ordered((difference) => difference > 0),
  '>=': ordered((difference) => difference >= 0),
  IN: value(among),
  'NOT IN': value((comparison, given) => !among(comparison, given)),
  LIKE: value(contains),
  'NOT LIKE': value((comparison, given) => !contains(comparison, given)),
  STARTSWITH: value(({ text, fold }, given) => fold(text).startsWith(fold(given))),
  ENDSWITH: value(({ text, fold }, given) => fold(text).endsWith(fold(given))),
  ISEMPTY: { operand: 'nothing', holds: ({ stored }) => stored === '' },
  ISNOTEMPTY: { operand: 'nothing', holds: ({ stored }) => stored !== '' },
  EMPTYSTRING: { operand: 'nothing', holds: ({ stored }) => stored === '' },
  ANYTHING: { operand: 'nothing', holds: () => true },
  BETWEEN: {
    operand: 'range',
    holds(comparison, given) {
      const [low = '', high = ''] = given.split('@');
      const [fromLow, fromHigh] = [order(comparison, low), order(comparison, high)];
      return fromLow !== undefined && fromHigh !== undefined && fromLow >= 0 && fromHigh <= 0;
    },
  },
  SAMEAS: { operand: 'field', holds: ({ stored, other }, given) => stored === other(given) },
  NSAMEAS: { operand: 'field', holds: ({ stored, other }, given) => stored !== other(given) },
  INSTANCEOF: value(({ stored }, given) => extendsTable(stored, given)),
};

const SYNONYMS: Readonly<Record<string, string>> = {
  CONTAINS: 'LIKE',
  '*': 'LIKE',
  'DOES NOT CONTAIN': 'NOT LIKE',
  '!*': 'NOT LIKE',
  '%': 'ENDSWITH',
};

export interface Spelling {
  readonly text: string;
  readonly operator: Operator;
}

/** Longest first, so that `<=` is never read as `<` with a value that begins with `=`. */
export const SPELLINGS: readonly Spelling[] = [
  ...Object.entries(OPERATORS).map(([text, operator]) => ({ text, operator })),
  ...Object.entries(SYNONYMS).flatMap(([text, name]) => {
    const operator = OPERATORS[name];
    return operator === undefined ? [] : [{ text, operator }];
  }),
].sort((a, b) => b.text.length - a.text.length);
