import type { TaskContext } from '../../connectors/connector.ts';
import type { Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import { MAX_PROGRESS_PER_SECOND } from '../../protocol/limits.ts';
import type { TaskProgress } from '../../protocol/messages.ts';
import type { Leases } from './lease.ts';
import type { TaskEntry } from './task-state.ts';

export interface TaskSurroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly leases: Leases;
  /** May be lost: nobody waits for it. */
  readonly send: (progress: TaskProgress) => void;
  readonly scrub: (text: string) => string;
}

/**
 * What the work of one task is given.
 *
 * @param deadline monotonic, milliseconds
 */
export function contextOf(
  entry: TaskEntry,
  deadline: number,
  { clock, log, leases, send, scrub }: TaskSurroundings,
): TaskContext {
  const { ref, name, signal } = entry;
  let bound: Logger | undefined;
  let seq = 0;
  let lastSentAt = -Infinity;
  return {
    signal,
    deadline,
    clock,
    // Most tasks have nothing to say.
    get log() {
      return (bound ??= log.child({ taskId: ref.taskId, attempt: ref.attempt, task: name }));
    },
    fence: () => {
      leases.check(ref);
      signal.throwIfAborted();
    },
    progress: (message) => {
      const now = clock.monotonic();
      if (now - lastSentAt < 1_000 / MAX_PROGRESS_PER_SECOND || signal.aborted) return;
      lastSentAt = now;
      send({ type: 'task.progress', ...ref, seq: seq++, message: scrub(message) });
    },
    usedSecret: (secret, origins) => entry.usedSecret(secret, origins),
    trace: entry.trace,
  };
}
