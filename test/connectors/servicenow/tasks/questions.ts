/** Inputs of `servicenow.approval.check`, as people write them. */

export type Question = Readonly<Record<string, unknown>>;

type Condition = readonly [key: string, operator: string, value: string];

export function keyValues(...conditions: readonly Condition[]): Question {
  return {
    type: 'KeyValues',
    spec: { conditions: conditions.map(([key, operator, value]) => ({ key, operator, value })) },
  };
}

export function expression(text: string, type = 'Expression'): Question {
  return { type, spec: { expression: text } };
}

export function change(number: string): Question {
  return { type: 'change_request', number };
}

export const IN_IMPLEMENT = keyValues(['state', 'equals', 'Implement']);

export const WINDOW = { startField: 'start_date', endField: 'end_date' };
