import { z } from 'zod';

/** What `ledger.append` and `ledger.read` are asked to do, beside the key of their task. */

const duration = z.number().min(0);

export const appendWork = z.object({
  name: z.literal('ledger.append'),
  /** Time before the line is written, and after it. */
  beforeMs: duration,
  afterMs: duration,
  /** `refused`: nothing is written; `ambiguous`: written, and the task says that it does not know. */
  end: z.enum(['succeeds', 'refused', 'ambiguous']),
});

export const readWork = z.object({
  name: z.literal('ledger.read'),
  takesMs: duration,
  end: z.enum(['succeeds', 'large', 'fails']),
  /** Goes on when its signal says stop. */
  deaf: z.boolean(),
});

export const work = z.discriminatedUnion('name', [appendWork, readWork]);
export type Work = z.infer<typeof work>;
