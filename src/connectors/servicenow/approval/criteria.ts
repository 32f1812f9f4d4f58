import { z } from 'zod';
import { ExpressionError } from './expression/errors.ts';
import { evaluateExpression } from './expression/evaluate.ts';
import { parseExpression, type Expression } from './expression/parser.ts';
import { nearNames } from './near-names.ts';
import { comparedSide, compileTest, type ConditionSource, type FieldTest } from './operators.ts';
import { MAX_PATTERNS } from './pattern.ts';
import { isBlank, quoted } from './text.ts';
import { fieldNameSchema, fieldOf, type TicketFields } from './ticket.ts';
import { OPERATORS, traced, type CriteriaResult } from './trace.ts';

/** What a person wrote, compiled: nothing is left in it that could turn out to be malformed later. */
export type Criteria = KeyValuesCriteria | ExpressionCriteria;

export interface KeyValuesCriteria {
  readonly type: 'KeyValues';
  /** False: all conditions must hold. */
  readonly matchAnyCondition: boolean;
  readonly conditions: readonly Condition[];
}

export interface ExpressionCriteria {
  readonly type: 'Expression';
  readonly expression: Expression;
}

interface Condition extends ConditionSource {
  readonly test: FieldTest;
}

export const MAX_CONDITIONS = 50;
export const MAX_EXPECTED_VALUE_CHARS = 4_096;

// --- schemas ----------------------------------------------------------------------------------------------

const operatorSchema = z.enum(OPERATORS, {
  error: ({ input }) => {
    const near = typeof input === 'string' ? nearNames(input, OPERATORS)[0] : undefined;
    const proposal = near === undefined ? '' : `; did you mean "${near}"?`;
    return `one of ${OPERATORS.join(', ')} is needed${proposal}`;
  },
});

const conditionSchema = z.object({
  key: fieldNameSchema,
  operator: operatorSchema,
  // Null is what YAML makes of `value:` with nothing behind it, which is how people write a blank value.
  value: z
    .string()
    .max(MAX_EXPECTED_VALUE_CHARS)
    .nullish()
    .transform((value) => value ?? ''),
});

const keyValuesSchema = z
  .object({
    type: z.literal('KeyValues'),
    spec: z.object({
      matchAnyCondition: z.boolean().default(false),
      caseSensitive: z.boolean().default(true),
      conditions: z.array(conditionSchema).max(MAX_CONDITIONS),
    }),
  })
  .transform(({ spec: { matchAnyCondition, caseSensitive, conditions } }, context) => {
    if (conditions.filter(({ operator }) => operator === 'matches').length > MAX_PATTERNS) {
      const message = `at most ${MAX_PATTERNS} conditions may use "matches"; use "in" or "contains", or one pattern with |`;
      context.addIssue({ code: 'custom', path: ['spec', 'conditions'], message });
      return z.NEVER;
    }
    const compiled: Condition[] = [];
    for (const [index, condition] of conditions.entries()) {
      const source = { ...condition, caseSensitive };
      const result = compileTest(source);
      if ('test' in result) {
        compiled.push({ ...source, test: result.test });
      } else {
        const path = ['spec', 'conditions', index, 'value'];
        context.addIssue({ code: 'custom', path, message: result.problem });
      }
    }
    return compiled.length === 0
      ? null
      : ({ type: 'KeyValues', matchAnyCondition, conditions: compiled } as const);
  });

const expressionSchema = z
  .object({
    // Two names of one type: JEXL is what the field calls it, and what existing pipelines say.
    type: z.enum(['Expression', 'Jexl']),
    // Its length is checked by the parser.
    spec: z.object({ expression: z.string().nullish() }),
  })
  .transform(({ spec: { expression } }, context) => {
    if (expression === undefined || expression === null || isBlank(expression)) return null;
    try {
      return { type: 'Expression', expression: parseExpression(expression) } as const;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      const message = `${error.message}\n${error.excerpt}`;
      context.addIssue({ code: 'custom', path: ['spec', 'expression'], message });
      return z.NEVER;
    }
  });

/** Null: a criterion of the right shape in which nothing is demanded. */
const anyCriteriaSchema = z.discriminatedUnion('type', [keyValuesSchema, expressionSchema], {
  error: ({ input, code }) => (code === 'invalid_union' ? typeProblem(input) : undefined),
});

function typeProblem(input: unknown): string {
  const given = z.object({ type: z.string() }).safeParse(input);
  const found = given.success ? `, not ${quoted(given.data.type)}` : '';
  return `one of KeyValues, Expression, Jexl is needed${found}`;
}

/** Decodes `approvalCriteria`: at least one condition, or an expression that is not blank. */
export const approvalCriteriaSchema = anyCriteriaSchema.transform((criteria, context): Criteria => {
  if (criteria !== null) return criteria;
  // Without a demand every ticket would be approved.
  context.addIssue({ code: 'custom', path: ['spec'], message: 'at least one condition is needed' });
  return z.NEVER;
});

/** Decodes `rejectionCriteria`, which may be left out or empty: null then, nothing is ever rejected. */
export const rejectionCriteriaSchema = anyCriteriaSchema
  .nullish()
  .transform((criteria): Criteria | null => criteria ?? null);

// --- evaluation -------------------------------------------------------------------------------------------

/** The fields that must be asked for. */
export function fieldsOf(criteria: Criteria): ReadonlySet<string> {
  if (criteria.type === 'Expression') return criteria.expression.fields;
  return new Set(criteria.conditions.map(({ key }) => key));
}

/**
 * Every condition of `KeyValues` is evaluated, so that the trace shows all that is still open.
 *
 * @throws DelegateError `servicenow.field-missing`, also for a field that the outcome would not have depended on;
 * `servicenow.not-comparable`, `servicenow.value-too-long`
 */
export function evaluate(criteria: Criteria, fields: TicketFields): CriteriaResult {
  for (const name of fieldsOf(criteria)) fieldOf(fields, name);
  return criteria.type === 'Expression'
    ? evaluateExpression(criteria.expression, fields)
    : evaluateKeyValues(criteria, fields);
}

function evaluateKeyValues(criteria: KeyValuesCriteria, fields: TicketFields): CriteriaResult {
  const conditions = criteria.conditions.map(({ key, operator, value, test }) => {
    const field = fieldOf(fields, key);
    const compared = comparedSide(operator);
    return traced({ key, operator, expected: value, field, compared, met: test(field) });
  });
  const isMet = ({ met }: { met: boolean }): boolean => met;
  return { met: criteria.matchAnyCondition ? conditions.some(isMet) : conditions.every(isMet), conditions };
}
