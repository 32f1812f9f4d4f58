import { DelegateError } from '../kit/errors.ts';
import { toTimestamp } from '../kit/time.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { encodeToManager, ProtocolViolation } from '../protocol/codec.ts';
import { MAX_FRAME_BYTES } from '../protocol/limits.ts';
import type { DelegateIdentity, TaskRef, TaskResult, TaskTiming } from '../protocol/messages.ts';
import type { BegunTask } from './journal.ts';
import { outcomeOfInterrupted, type Outcome } from './runner.ts';

/** All monotonic but the first. */
interface TaskTimes {
  /** Milliseconds since the epoch. */
  readonly receivedWall: number;
  readonly receivedAt: number;
  /** Undefined if the work never began. */
  readonly startedAt: number | undefined;
  readonly finishedAt: number;
}

export function resultOf(
  ref: TaskRef,
  outcome: Outcome,
  delegate: DelegateIdentity,
  { receivedWall, receivedAt, startedAt, finishedAt }: TaskTimes,
): TaskResult {
  const started = startedAt ?? finishedAt;
  const queueMs = Math.max(0, Math.round(started - receivedAt));
  const runMs = Math.max(0, Math.round(finishedAt - started));
  // Wall times are derived from one reading and monotonic distances, so that a clock jump can't reorder them.
  const timing: TaskTiming = {
    receivedAt: toTimestamp(receivedWall),
    startedAt: toTimestamp(receivedWall + queueMs),
    finishedAt: toTimestamp(receivedWall + queueMs + runMs),
    queueMs,
    runMs,
  };
  return fitResult({ type: 'task.result', ...ref, ...outcome, delegate, timing });
}

/**
 * Of a task that the run before has left unfinished. Nobody saw its end, so no duration is known.
 *
 * @param epochMs now, wall time
 */
export function resultOfInterrupted(task: BegunTask, epochMs: number): TaskResult {
  const { ref, effect, receivedAt, delegate } = task;
  const finishedAt = toTimestamp(epochMs);
  const startedAt = task.startedAt ?? (effect === 'reads' ? receivedAt : finishedAt);
  const timing: TaskTiming = { receivedAt, startedAt, finishedAt, queueMs: 0, runMs: 0 };
  return fitResult({ type: 'task.result', ...ref, ...outcomeOfInterrupted(task), delegate, timing });
}

/**
 * The result as it is if it makes a frame, else a `failed` in its place that says why. A result that can't be
 * sent would otherwise be tried for ever.
 */
export function fitResult(result: TaskResult, maxFrameBytes: number = MAX_FRAME_BYTES): TaskResult {
  try {
    encodeToManager(result, maxFrameBytes);
    return result;
  } catch (thrown) {
    if (!(thrown instanceof ProtocolViolation)) throw thrown;
    const error =
      thrown.closeCode === CloseCode.FrameTooLarge
        ? new DelegateError(
            'result-too-large',
            `The result does not fit into a frame of ${maxFrameBytes} bytes.`,
            {
              category: 'bad-response',
              hint: 'Ask for less: fewer fields, or shorter ones.',
              details: { maxFrameBytes },
            },
          )
        : new DelegateError('internal', 'The result could not be put into a frame.', {
            category: 'internal',
            hint: 'This is a defect of the delegate; its log has the task.',
          });
    const { type, taskId, attempt, delegate, timing } = result;
    return { type, taskId, attempt, delegate, timing, outcome: 'failed', error: error.toWire() };
  }
}
