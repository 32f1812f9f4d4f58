import { z } from 'zod';
import { policySchema } from './document.ts';

/**
 * The policy file as JSON Schema (draft 2020-12), for editors and for checks before a file comes to a delegate. What
 * one rule says of another is beyond it: `servicenow-delegate policy check` knows that too.
 */
export function policyJsonSchema(): string {
  const schema = z.toJSONSchema(policySchema, { target: 'draft-2020-12', io: 'input' });
  const described = {
    title: 'Policy of a ServiceNow delegate',
    description: 'What a manager may have a delegate do. What is not named is refused.',
    ...schema,
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}
