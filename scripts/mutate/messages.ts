import { z } from 'zod';

/** What the two processes say to each other. */

export const jobSchema = z.discriminatedUnion('task', [
  /** Run all tests with no mutant on, and tell which reach which. */
  z.object({ task: z.literal('cover') }),
  /** Run the tests as one mutant, without those whose titles are in `skip`. */
  z.object({ task: z.literal('challenge'), mutant: z.number(), skip: z.array(z.string()) }),
]);

export type Job = z.output<typeof jobSchema>;

export const answerSchema = z.object({
  /** The first test that failed. Null: none did. */
  failure: z.string().nullable(),
  /** By title: the numbers of the mutants that the test reached, and the time it took. */
  tests: z.record(z.string(), z.object({ reached: z.array(z.number()), durationMs: z.number() })),
  /** Numbers of those that were reached while the tests were loaded, such as a module's constants. */
  atLoad: z.array(z.number()),
});

export type Answer = z.output<typeof answerSchema>;
