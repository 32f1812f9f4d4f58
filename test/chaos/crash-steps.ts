import { z } from 'zod';

/** Points of the way of a task at which its process can be told to die. */
const POINTS = [
  'before begin',
  'after begin',
  'before start',
  'after start',
  'before effect',
  'after effect',
  'before finish',
  'after finish',
  'before forget',
  'after forget',
] as const;

export type CrashPoint = (typeof POINTS)[number];

export const crashOrder = z.object({
  managerUrl: z.string(),
  stateDir: z.string(),
  ledgerPath: z.string(),
  /** Where it says, with its last breath, which point it has reached. */
  tracePath: z.string(),
  /** Null: it lives. */
  dieAt: z.enum(POINTS).nullable(),
});

export const crashSaid = z.object({ said: z.enum(['waiting', 'started']) });

export type CrashOrder = z.infer<typeof crashOrder>;
export type CrashSaid = z.infer<typeof crashSaid>;
