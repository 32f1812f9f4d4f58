import { expect } from 'chai';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseInput } from '../../src/connectors/connector.ts';
import { DelegateError } from '../../src/kit/errors.ts';

function refusal(schema: z.ZodType, raw: unknown): DelegateError {
  try {
    parseInput(schema, raw);
  } catch (thrown) {
    if (thrown instanceof DelegateError) return thrown;
    throw thrown;
  }
  throw new Error('the input was accepted');
}

describe('input that does not fit', () => {
  const numbers = z.object({ list: z.array(z.number('must be a number')) });

  it('is refused with every complaint, by the path of its field', () => {
    const error = refusal(numbers, { list: ['a', 1, 'b'] });
    expect(error).to.include({
      code: 'invalid-input',
      message: 'list.0: must be a number; list.2: must be a number',
      hint: 'Correct the named fields.',
    });
    expect(error.details).to.deep.equal({ fields: ['list.0', 'list.2'] });
  });

  it('is told what it should be in words that whoever writes YAML understands', () => {
    const schema = z.object({
      text: z.string(),
      flag: z.boolean(),
      count: z.number(),
      list: z.array(z.string()),
      part: z.object({}),
      kind: z.literal('K'),
      left: z.object({}),
    });
    const error = refusal(schema, { text: false, flag: 'no', count: 'x', list: 'a', part: [] });
    expect(error.message).to.equal(
      'text: must be text; a number, true or false needs quotes; flag: must be true or false; ' +
        'count: must be a number; list: must be a list; part: must be a mapping of fields; ' +
        'kind: is missing; left: is missing',
    );
  });

  it('ten complaints are listed, the others are counted', () => {
    const error = refusal(numbers, { list: Array.from({ length: 22 }, () => 'x') });
    expect(error.message).to.match(/list\.9: must be a number; and 12 more$/);
    expect(error.details?.['fields']).to.have.length(10);
  });

  it('however long names and complaints are, the message stays under 4,000 characters', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: 1, max: 50 }), (length, count) => {
        const schema = z.record(z.string(), z.number('😀'.repeat(length)));
        const raw = Object.fromEntries(
          Array.from({ length: count }, (_, index) => [`${'n'.repeat(length)}${index}`, 'x']),
        );
        const error = refusal(schema, raw);
        expect(error.message.length).to.be.below(4_000);
        expect(error.message.isWellFormed() || length === 0).to.equal(true);
      }),
      { numRuns: 50 },
    );
  });
});
