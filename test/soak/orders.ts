import { z } from 'zod';

/** What the soak tells its delegates over their channel, and what they tell it. */

const toDelegate = z.discriminatedUnion('order', [
  z.object({
    order: z.literal('start'),
    /** As `servicenow-delegate run` gets them. */
    environment: z.record(z.string(), z.string()),
    ledgerPath: z.string(),
  }),
  z.object({ order: z.literal('measure') }),
]);

/** What a process holds at one moment. */
const holdings = z.object({
  /** After a collection of garbage. */
  heapBytes: z.number(),
  rssBytes: z.number(),
  descriptors: z.number(),
  /** Sockets, servers, channels. */
  handles: z.number(),
  timers: z.number(),
});

const fromDelegate = z.discriminatedUnion('said', [
  z.object({ said: z.literal('waiting') }),
  z.object({ said: z.literal('measured'), holdings }),
]);

export const orders = { toDelegate, fromDelegate };
export type ToDelegateProcess = z.infer<typeof toDelegate>;
export type FromDelegateProcess = z.infer<typeof fromDelegate>;
export type Holdings = z.infer<typeof holdings>;
