import { resolvePath, type Field } from '../records/schema.ts';
import { segmentsOf, termOf } from './lexer.ts';
import type { Operator } from './operators.ts';

export interface Term {
  readonly path: readonly Field[];
  readonly operator: Operator;
  readonly given: string;
}

/** Terms of which one must hold: `A^ORB` binds tighter than `^`. */
export type Group = readonly Term[];

/** Groups that must all hold. */
export type Branch = readonly Group[];

export interface SortKey {
  readonly path: readonly Field[];
  readonly descending: boolean;
}

export interface Query {
  /** Branches of which one must hold. */
  readonly branches: readonly Branch[];
  readonly order: readonly SortKey[];
  /** The terms that could not be read; the instance's policy says what they do to the result. */
  readonly unread: readonly string[];
}

/** Evaluates the few server-side scripts that a value may hold after `javascript:`; undefined for any other. */
export type EvaluateScript = (script: string) => string | undefined;

const SCRIPT_PREFIX = 'javascript:';
const ORDER = /^ORDERBY(DESC)?(.+)$/;
/** Groups only in lists on a screen; the Table API answers the same rows. */
const GROUP_BY = /^GROUPBY./;

/** Reads an encoded query as `table` understands it. Never throws: what can't be read is listed in `unread`. */
export function parseQuery(text: string, table: string, evaluate: EvaluateScript): Query {
  const branches: Term[][][] = [[]];
  const order: SortKey[] = [];
  const unread: string[] = [];
  let group: Term[] = [];

  for (const { joint, text: segment } of segmentsOf(text)) {
    if (joint === 'branch') branches.push([]);
    if (GROUP_BY.test(segment)) continue;
    const sorting = ORDER.exec(segment);
    if (sorting !== null) {
      const path = resolvePath(table, sorting[2] ?? '');
      if (path === undefined) unread.push(segment);
      else order.push({ path, descending: sorting[1] !== undefined });
      continue;
    }
    // An OR with nothing before it, in the query or in its branch, begins a group of its own.
    if (joint !== 'or' || branches.at(-1)?.length === 0) branches.at(-1)?.push((group = []));
    const term = readTerm(segment, table, evaluate);
    if (term === undefined) unread.push(segment);
    else group.push(term);
  }
  // A group that lost all its terms asks for nothing. A branch that lost all its groups therefore matches every row:
  // the widening that a client has to be safe against.
  return { branches: branches.map((branch) => branch.filter((terms) => terms.length > 0)), order, unread };
}

function readTerm(segment: string, table: string, evaluate: EvaluateScript): Term | undefined {
  const raw = termOf(segment);
  const path = raw === undefined ? undefined : resolvePath(table, raw.field);
  if (raw === undefined || path === undefined) return undefined;
  const { operator } = raw.spelling;
  const given = raw.value.startsWith(SCRIPT_PREFIX)
    ? evaluate(raw.value.slice(SCRIPT_PREFIX.length))
    : raw.value;
  return given === undefined || !fits(operator, given, table) ? undefined : { path, operator, given };
}

function fits(operator: Operator, given: string, table: string): boolean {
  switch (operator.operand) {
    case 'value':
      return true;
    case 'nothing':
      return given === '';
    case 'range':
      return given.split('@').length === 2;
    case 'field':
      return resolvePath(table, given) !== undefined;
  }
}
