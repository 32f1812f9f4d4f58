import { pino } from 'pino';
import { run, type Outcome } from '../../src/delegate/tasks/runner.ts';
import type { StopReason } from '../../src/delegate/tasks/task-state.ts';
import type { Redactor } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { NO_TRACE } from '../../src/observability/tracing/tracer.ts';

/** What comes of a task that only reads. */
export async function outcomeOfWork(
  work: () => Promise<unknown>,
  redactor: Redactor,
  reason?: StopReason,
): Promise<Outcome> {
  const context = {
    signal: new AbortController().signal,
    deadline: 0,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    fence: () => {},
    progress: () => {},
    usedSecret: () => {},
    trace: NO_TRACE,
  };
  return await run({ run: work }, context, { effect: 'reads', stopReason: () => reason, redactor });
}
