import type { PreparedTask, TaskContext } from '../../connectors/connector.ts';
import { wrap, type DelegateError, type ErrorDetails, type WireError } from '../../kit/errors.ts';
import { MASK, type Redactor } from '../../kit/secret.ts';
import { jsonSchema, type Json, type TaskEffect } from '../../protocol/messages.ts';
import { delegateError } from '../errors.ts';
import type { BegunTask } from '../journal/journal.ts';
import type { StopReason } from './task-state.ts';

/** How a task ended, ready for the wire: scrubbed, and within the lengths of a frame's fields. */
export type Outcome =
  { outcome: 'succeeded'; output: Json } | { outcome: 'failed' | 'cancelled' | 'unknown'; error: WireError };

/** Longest message or hint that an error or a reject carries to the manager, in characters. */
export const MAX_ERROR_TEXT = 4_000;

/** What the ending of a task depends on, beside the work itself. */
export interface TaskFate {
  readonly effect: TaskEffect;
  readonly stopReason: () => StopReason | undefined;
  readonly redactor: Redactor;
  /** What the manager has said of the task, which is not masked in the answer. */
  readonly said?: () => string;
}

/** Runs the work to its end, whatever that is; never rejects. */
export async function run(prepared: PreparedTask, context: TaskContext, fate: TaskFate): Promise<Outcome> {
  try {
    const output = await prepared.run(context);
    return { outcome: 'succeeded', output: jsonSchema.parse(fate.redactor.scrubFinal(output, fate.said)) };
  } catch (thrown) {
    const error = wrap(thrown);
    const reason = fate.stopReason();
    // What a library throws when it is aborted is nothing unexpected.
    if (error.code === 'internal' && reason === undefined) {
      context.log.warn({ err: thrown }, 'a task failed unexpectedly');
    }
    return scrubbed(outcomeOf(error, reason, fate.effect), fate);
  }
}

/** A task that was stopped, or could not be recorded, before its work began. */
export function outcomeOfUnstarted(thrown: unknown, reason: StopReason | undefined): Outcome {
  return outcomeOf(wrap(thrown), reason, 'reads');
}

/** A task of which the run before left no more than that it was begun. */
export function outcomeOfInterrupted({ name, effect, receivedAt, startedAt }: BegunTask): Outcome {
  const mayHaveWritten = effect === 'writes' && startedAt !== undefined;
  const begun = startedAt === undefined ? '' : ` and may have worked on it from ${startedAt} on`;
  const error = delegateError(
    'interrupted',
    `The delegate ended in the middle of ${name}: it took the task at ${receivedAt}${begun}.`,
    {
      category: mayHaveWritten ? 'ambiguous' : 'unavailable',
      retryable: !mayHaveWritten,
      hint: mayHaveWritten ? UNKNOWN_HINT : 'Nothing was changed. Start it again.',
    },
  );
  return { outcome: mayHaveWritten ? 'unknown' : 'failed', error: error.toWire() };
}

/**
 * The one place that turns an ending into an outcome. "Stopped or failed?" is asked of the reason that the
 * delegate itself gave, not of the error's looks: an aborted request throws whatever its library likes.
 */
export function outcomeOf(
  error: DelegateError,
  reason: StopReason | undefined,
  effect: TaskEffect,
): Extract<Outcome, { error: WireError }> {
  // An error that nobody foresaw says nothing of what was done before it.
  const isVague = reason !== undefined || error.category === 'ambiguous' || error.code === 'internal';
  const mayHaveWritten = effect === 'writes' && isVague;
  if (mayHaveWritten) {
    const cause = reason === undefined ? error : stopError(reason);
    return {
      outcome: 'unknown',
      error: { ...cause.toWire(), category: 'ambiguous', retryable: false, hint: UNKNOWN_HINT },
    };
  }
  if (reason === undefined) return { outcome: 'failed', error: error.toWire() };
  return { outcome: reason === 'cancelled' ? 'cancelled' : 'failed', error: stopError(reason).toWire() };
}

export const UNKNOWN_HINT =
  'The change may or may not have been made: look at the record before doing it again.';

function stopError(reason: StopReason): DelegateError {
  switch (reason) {
    case 'cancelled':
      return delegateError('cancelled', 'The manager cancelled the task.');
    case 'deadline':
      return delegateError('timeout', 'The task did not end within its time limit.');
    case 'shutdown':
      return delegateError('interrupted', 'The delegate was stopped before the task ended.');
    case 'revoked':
      return delegateError('revoked-while-running', 'The manager revoked this delegate while the task ran.');
    case 'lease-lost':
      return delegateError('lease-lost', 'The delegate lost its connection for longer than the lease.');
    case 'discarded':
      return delegateError('discarded', 'The task was given to another attempt.');
  }
}

function scrubbed(outcome: Extract<Outcome, { error: WireError }>, { redactor, said }: TaskFate): Outcome {
  const { error } = outcome;
  const clip = (text: string): string => redactor.scrub(text, said).slice(0, MAX_ERROR_TEXT);
  const clipAny = (value: ErrorDetail): ErrorDetail => {
    if (typeof value === 'string') return clip(value);
    if (typeof value === 'number')
      return redactor.scrub(String(value), said) === String(value) ? value : MASK;
    return typeof value === 'object' && value !== null ? value.map(clip) : value;
  };
  const { hint, details } = error;
  return {
    outcome: outcome.outcome,
    error: {
      ...error,
      message: clip(error.message),
      ...(hint === undefined ? {} : { hint: clip(hint) }),
      ...(details === undefined
        ? {}
        : {
            details: Object.fromEntries(
              Object.entries(details).map(([key, value]) => [clip(key), clipAny(value)]),
            ),
          }),
    },
  };
}

type ErrorDetail = ErrorDetails[string];
