import type { DelegateError } from '../../kit/errors.ts';
import { toTimestamp } from '../../kit/time.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { encodeToManager, ProtocolViolation } from '../../protocol/codec.ts';
import { MAX_FRAME_BYTES } from '../../protocol/limits.ts';
import type {
  DelegateIdentity,
  TaskEffect,
  TaskRef,
  TaskResult,
  TaskTiming,
} from '../../protocol/messages.ts';
import type { BegunTask } from '../journal/journal.ts';
import { delegateError } from '../errors.ts';
import { outcomeOfInterrupted, UNKNOWN_HINT, type Outcome } from './runner.ts';

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
  { ref, effect }: { readonly ref: TaskRef; readonly effect: TaskEffect },
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
  const whole: TaskResult = { type: 'task.result', ...ref, ...outcome, delegate, timing };
  const fitting = fitResult(whole);
  if (fitting === whole || fitting.outcome !== 'failed' || effect === 'reads') return fitting;
  // Not to be taken for work that was not done: whoever did it again would write twice.
  const error = { ...fitting.error, category: 'ambiguous' as const, hint: UNKNOWN_HINT };
  return { ...fitting, outcome: 'unknown', error };
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

/** Of an error's texts, where the frame has room for no more. Every frame limit has room for these. */
const MAX_SHORTENED_CHARS = 500;

/**
 * The result as it is if it makes a frame, else a `failed` in its place that says why: a result that can't be sent
 * would otherwise be tried for ever. One that is `unknown` stays so, with shorter words.
 */
export function fitResult(result: TaskResult, maxFrameBytes: number = MAX_FRAME_BYTES): TaskResult {
  try {
    encodeToManager(result, maxFrameBytes);
    return result;
  } catch (thrown) {
    if (!(thrown instanceof ProtocolViolation)) throw thrown;
    const { type, taskId, attempt, delegate, timing } = result;
    const base = { type, taskId, attempt, delegate, timing };
    if (result.outcome === 'unknown') return { ...base, outcome: 'unknown', error: shortened(result.error) };
    const error =
      thrown.closeCode === CloseCode.FrameTooLarge ? tooLarge(result.outcome, maxFrameBytes) : unwritable();
    return { ...base, outcome: 'failed', error: error.toWire() };
  }
}

function tooLarge(outcome: TaskResult['outcome'], maxFrameBytes: number): DelegateError {
  return delegateError(
    'result-too-large',
    `The task ended (${outcome}), and its result does not fit into a frame of ${maxFrameBytes} bytes.`,
    { details: { maxFrameBytes, outcome } },
  );
}

function unwritable(): DelegateError {
  return delegateError('internal', 'The result could not be put into a frame.');
}

type ResultError = Exclude<TaskResult, { outcome: 'succeeded' }>['error'];

function shortened({ code, category, retryable, message, hint }: ResultError): ResultError {
  const clip = (text: string): string => text.slice(0, MAX_SHORTENED_CHARS).toWellFormed();
  return {
    code,
    category,
    retryable,
    message: clip(message),
    ...(hint === undefined ? {} : { hint: clip(hint) }),
  };
}
