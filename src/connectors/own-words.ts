import { z } from 'zod';

/**
 * The words that an answer may have in places with a fixed vocabulary: `approved`, `FAILURE`. They are this program's,
 * and stay readable where a secret is one of them: a mask in such a place would say which, and nothing else would.
 */
export function ownWordsOf(schema: z.ZodType): readonly string[] {
  const words = new Set<string>();
  const waiting: unknown[] = [z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' })];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    for (const [key, member] of Object.entries(next)) {
      if (key === 'const' || key === 'enum') {
        for (const word of [member].flat()) if (typeof word === 'string') words.add(word);
      } else waiting.push(member);
    }
  }
  return [...words];
}
