import { endsWithin, sleep, type Clock } from '../kit/time.ts';
import type { Logger } from '../observability/logger.ts';
import { keyOf } from '../protocol/messages.ts';
import type { Workload } from './tasks/workload.ts';

/**
 * Time after the grace for aborted tasks to end, and as long again for results to be acknowledged. With the default
 * grace, and a second for the close, a stop stays below the 30 s that Kubernetes gives a pod.
 */
export const FLUSH_WITHIN_MS = 1_500;
/** How often a stop says what it still waits for. */
const STILL_WAITING_EVERY_MS = 5_000;

export interface LastWorkOptions {
  readonly workload: Workload;
  /** Time for running tasks to end by themselves. */
  readonly graceMs: number;
  /** What a task that is aborted is told. */
  readonly reason: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Sees the work of a leaving delegate to its end: tasks end within the grace, the rest is aborted, and results are
 * flushed. Resolves when that is done, or has had its time; what is left is logged.
 */
export async function finishLastWork(options: LastWorkOptions): Promise<void> {
  const { workload, graceMs, clock, log } = options;
  const reporting = new AbortController();
  void sayWhatIsWaitedFor(options, reporting.signal);
  try {
    if (!(await endsWithin(clock, graceMs, workload.idle()))) {
      log.warn({ tasks: workload.waitingFor() }, 'the grace is over; aborting what still runs');
      if (!(await abortWork(options))) {
        log.error({ tasks: workload.waitingFor() }, 'tasks did not obey their signal');
      }
    }
    // Without a session, too: one may come back.
    if (!(await endsWithin(clock, FLUSH_WITHIN_MS, workload.outbox.emptied()))) {
      const results = workload.outbox.refs().map(keyOf);
      if (workload.recording) {
        log.warn({ results }, 'results were not acknowledged; the next start sends them again');
      } else log.error({ results }, 'results were not acknowledged, and the disk has not taken them');
    }
  } finally {
    reporting.abort();
  }
}

/** False if a task does not obey. */
export async function abortWork({
  workload,
  reason,
  clock,
}: Pick<LastWorkOptions, 'workload' | 'reason' | 'clock'>): Promise<boolean> {
  workload.stopAll('shutdown', reason);
  return await endsWithin(clock, FLUSH_WITHIN_MS, workload.idle());
}

async function sayWhatIsWaitedFor(
  { workload, clock, log }: LastWorkOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(clock, STILL_WAITING_EVERY_MS, signal);
    } catch {
      return;
    }
    log.info(
      {
        tasks: workload.waitingFor(),
        results: workload.outbox.size,
        oldestResultAt: workload.outbox.oldestFinishedAt,
      },
      'still waiting before the stop',
    );
  }
}
