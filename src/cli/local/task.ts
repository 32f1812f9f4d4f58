import type { PreparedTask, TaskLog, TaskType } from '../../connectors/connector.ts';
import { run, type Outcome } from '../../delegate/tasks/runner.ts';
import type { StopReason } from '../../delegate/tasks/task-state.ts';
import { untilAborted } from '../../kit/flow.ts';
import type { Redactor } from '../../kit/secret.ts';
import { sleep, type Clock } from '../../kit/time.ts';
import { NO_TRACE } from '../../observability/tracing/tracer.ts';

/** What every run of a task on this machine shares. */
export interface TaskSurroundings {
  readonly clock: Clock;
  readonly log: TaskLog;
  readonly redactor: Redactor;
  /** Ends everything; its reason goes through. */
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
  /** Milliseconds that one run may take. */
  readonly timeoutMs: number;
}

/** How a run ended. */
export interface Ran {
  /** Scrubbed, to be shown. */
  readonly outcome: Outcome;
  /**
   * What the task answered, as it was: to be judged, and never to be shown. A secret that reads like a word of the
   * answer itself, `pending` say, is masked in the other. Undefined if it failed.
   */
  readonly answer: unknown;
}

/**
 * Runs a task once, the very way that a delegate in service does. Resolves with how it ended; an end of the time is
 * one, too. Rejects only with the signal's reason, and at once.
 */
export async function runTask(
  task: Pick<TaskType, 'effect'>,
  prepared: PreparedTask,
  surroundings: TaskSurroundings,
): Promise<Ran> {
  const { clock, log, redactor, signal, onProgress, timeoutMs } = surroundings;
  const late = new AbortController();
  const timer = clock.after(timeoutMs, () => late.abort(new Error('the time of the task is over')));
  const stopReason = (): StopReason | undefined => (late.signal.aborted ? 'deadline' : undefined);
  const context = {
    signal: AbortSignal.any([signal, late.signal]),
    deadline: clock.monotonic() + timeoutMs,
    clock,
    log,
    fence: () => {},
    progress: onProgress,
    usedSecret: () => {},
    trace: NO_TRACE,
  };
  let answer: unknown;
  const watched: PreparedTask = { ...prepared, run: async (given) => (answer = await prepared.run(given)) };
  try {
    const fate = { effect: task.effect, stopReason, redactor };
    const outcome = await untilAborted(run(watched, context, fate), signal);
    return { outcome, answer };
  } finally {
    timer.cancel();
  }
}

export interface Waiting {
  /** Milliseconds from now in which another look may begin. */
  readonly forMs: number;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Looks again and again while the answer is open and there is time for another look. Resolves with the last answer;
 * rejects with the signal's reason.
 *
 * @param onPause told before each pause
 */
export async function untilSettled<T>(
  look: () => Promise<T>,
  isOpen: (answer: T) => boolean,
  { forMs, intervalMs, clock, signal }: Waiting,
  onPause: (answer: T) => void,
): Promise<T> {
  const lastLookAt = clock.monotonic() + forMs;
  for (;;) {
    const answer = await look();
    if (!isOpen(answer) || clock.monotonic() + intervalMs > lastLookAt) return answer;
    onPause(answer);
    await sleep(clock, intervalMs, signal);
  }
}
