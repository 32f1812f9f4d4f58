import { z } from 'zod';

/** What the bench and its processes tell each other. A process answers each order once, in turn. */

export const orders = {
  /** To whoever makes calls: so many at any time, until the time is over or so many have ended. */
  load: z.object({
    inFlight: z.int().positive(),
    until: z.union([z.object({ ms: z.number().positive() }), z.object({ tasks: z.int().positive() })]),
  }),
  /** To the worker of a queue. */
  concurrency: z.object({ atOnce: z.int().positive() }),
  /** To many delegates: all connect anew, or say how many of them are connected. */
  light: z.object({ do: z.enum(['storm', 'count']) }),
};

/** What the two processes of a queue are handed. */
export const queueHand = z.object({
  socketPath: z.string(),
  queue: z.string(),
  instanceUrl: z.string(),
  stateDir: z.string(),
  environment: z.record(z.string(), z.string()),
});

export type LoadOrder = z.infer<typeof orders.load>;

export const answers = {
  load: z.object({
    /** That ended in the time measured. */
    tasks: z.int(),
    seconds: z.number(),
    /** From the call to its result, milliseconds. */
    p50Ms: z.number(),
    p99Ms: z.number(),
  }),
  instance: z.object({
    requests: z.int(),
    /** That were asked about, each as often as it was. */
    tickets: z.int(),
    connections: z.int(),
    /** The first line and the header fields of the last request, without `host`. */
    lastRequest: z.array(z.string()),
  }),
  /** From the first connect until the last delegate was welcome. */
  storm: z.object({ seconds: z.number() }),
  connected: z.object({ connected: z.int() }),
};

export type LoadSample = z.infer<typeof answers.load>;
export type Storm = z.infer<typeof answers.storm>;
export type InstanceCounts = z.infer<typeof answers.instance>;

/** What a process says of itself once it is ready, and to an order. */
export const fromProcess = z.discriminatedUnion('said', [
  z.object({ said: z.literal('ready'), urls: z.array(z.string()) }),
  z.object({ said: z.literal('answer'), answer: z.unknown() }),
  z.object({ said: z.literal('failed'), why: z.string() }),
]);

export type FromProcess = z.infer<typeof fromProcess>;
