import { z } from 'zod';
import { defineTask, type TaskType } from '../../src/connectors/connector.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { deferred, untilAborted } from '../../src/kit/flow.ts';
import { sleep } from '../../src/kit/time.ts';
import type { Random } from '../support/random.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';

/** A customer's system: one line for each write that reached it, whoever is still alive to hear the answer. */
export class Ledger {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #lines = new Map<string, number>();
  /** Called as a process sends a write. */
  onSent: (task: string, by: string) => void = () => {};
  /** Called with the task's label after each line. */
  onLine: (task: string, by: string) => void = () => {};

  constructor(time: SimulatedTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  linesOf(task: string): number {
    return this.#lines.get(task) ?? 0;
  }

  /** Sends one write from a process. It arrives even if the process is killed while it is on its way. */
  async append(task: string, from: SimulatedProcess): Promise<void> {
    const answered = deferred<void>();
    if (from.alive) {
      this.onSent(task, from.name);
      this.#time.after(this.#random.between(1, 400), () => {
        this.#lines.set(task, this.linesOf(task) + 1);
        this.onLine(task, from.name);
        this.#time.after(this.#random.between(1, 400), () => from.enter(() => answered.resolve()));
      });
    }
    await answered.promise;
  }
}

/** What a simulated task is told to do. Durations are milliseconds. */
export const workSchema = z.object({
  task: z.string(),
  beforeMs: z.number(),
  afterMs: z.number(),
  /** How it ends, if nothing stops it. */
  ends: z.enum(['well', 'refused-before', 'answer-lost']),
  outputBytes: z.number(),
});

export type Work = z.infer<typeof workSchema>;

const TASK_NAMES = ['sim.read', 'sim.write', 'sim.hung'] as const;
export type TaskName = (typeof TASK_NAMES)[number];

/** The task types of one delegate process. */
export function simulatedTasks(process: SimulatedProcess, ledger: Ledger): TaskType[] {
  const output = z.object({ task: z.string(), padding: z.string() });
  const done = ({ task, outputBytes }: Work) => ({ task, padding: 'x'.repeat(outputBytes) });
  return [
    defineTask({
      name: 'sim.read' satisfies TaskName,
      version: 1,
      effect: 'reads',
      input: workSchema,
      output,
      run: async (work, context) => {
        const { clock, signal } = context;
        await sleep(clock, work.beforeMs, signal);
        context.progress('half way');
        await sleep(clock, work.afterMs, signal);
        if (work.ends !== 'well') throw refused();
        return done(work);
      },
    }),
    defineTask({
      name: 'sim.write' satisfies TaskName,
      version: 1,
      effect: 'writes',
      input: workSchema,
      output,
      run: async (work, context) => {
        const { clock, signal } = context;
        await sleep(clock, work.beforeMs, signal);
        if (work.ends === 'refused-before') throw refused();
        context.fence();
        await untilAborted(ledger.append(work.task, process), signal);
        if (work.ends === 'answer-lost') throw answerLost();
        await sleep(clock, work.afterMs, signal);
        return done(work);
      },
    }),
    defineTask({
      name: 'sim.hung' satisfies TaskName,
      version: 1,
      effect: 'reads',
      input: workSchema,
      output,
      // Without the signal: work that can't be stopped.
      run: async (work, { clock }) => {
        await sleep(clock, work.beforeMs + work.afterMs);
        return done(work);
      },
    }),
  ];
}

function refused(): DelegateError {
  return new DelegateError('sim.refused', 'The target refused the change.', { category: 'refused' });
}

function answerLost(): DelegateError {
  return new DelegateError('sim.answer-lost', 'The answer was lost.', { category: 'ambiguous' });
}
