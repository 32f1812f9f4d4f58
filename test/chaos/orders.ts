import { z } from 'zod';
import { work } from './work.ts';

/** What the world tells its processes over their channel, and what they tell it. */

const lapse = z.object({ factor: z.number(), epochMs: z.number() });

const toManager = z.discriminatedUnion('order', [
  z.object({
    order: z.literal('start'),
    port: z.number(),
    publicUrl: z.string(),
    chroniclePath: z.string(),
    lapse,
  }),
  z.object({ order: z.literal('enrolment-token'), label: z.string() }),
  z.object({ order: z.literal('submit'), key: z.string(), work, timeoutMs: z.number() }),
  z.object({ order: z.literal('cancel'), key: z.string() }),
  z.object({ order: z.literal('drain'), reconnectAfterMs: z.number() }),
  z.object({ order: z.literal('close') }),
]);

const fromManager = z.discriminatedUnion('said', [
  z.object({ said: z.literal('waiting') }),
  /** Keys of the tasks that its store has, and of those among them that have ended. */
  z.object({ said: z.literal('started'), taken: z.array(z.string()), ended: z.array(z.string()) }),
  z.object({ said: z.literal('enrolment-token'), label: z.string(), value: z.string() }),
  z.object({ said: z.literal('taken'), key: z.string() }),
  z.object({ said: z.literal('ended'), key: z.string() }),
  /** Names of the delegates that are connected now. */
  z.object({ said: z.literal('sessions'), names: z.array(z.string()) }),
  z.object({
    said: z.literal('hello'),
    delegateId: z.string(),
    name: z.string(),
    running: z.number(),
    unacknowledged: z.number(),
  }),
]);

const toDelegate = z.object({
  order: z.literal('start'),
  environment: z.record(z.string(), z.string()),
  ledgerPath: z.string(),
  logPath: z.string(),
  lapse,
});

/** `started`: a signal to stop is taken from now on. */
const fromDelegate = z.object({ said: z.enum(['waiting', 'started']) });

export const orders = { toManager, fromManager, toDelegate, fromDelegate };
export type ToManagerProcess = z.infer<typeof toManager>;
export type FromManagerProcess = z.infer<typeof fromManager>;
export type ToDelegateProcess = z.infer<typeof toDelegate>;
export type FromDelegateProcess = z.infer<typeof fromDelegate>;
