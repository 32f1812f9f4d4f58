import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { ErrorCategory } from '../kit/errors.ts';
import { toTimestamp } from '../kit/time.ts';
import type { ApprovalRecord, ApprovalStatus, Holder, Look, TaskError, TaskRecord } from './store.ts';

/** Looks in a row with an error that waiting does not cure, before the approval fails. */
const MAX_FAILURES_IN_A_ROW = 3;
/** What is asked is itself wrong or forbidden; the next look would ask the same. */
const HOPELESS: ReadonlySet<ErrorCategory> = new Set(['invalid-input', 'policy']);
/** Looks that an approval keeps; the count goes on. */
const MAX_LOOKS = 200;
/** Connectors are spread over the interval times 1 ± this. */
const INTERVAL_SPREAD = 0.1;

const outputSchema = z.object({
  decision: z.enum(['approved', 'rejected', 'pending']),
  reason: z.string().max(8_192),
});

/** What one ended look at a ticket says. */
export function readLook(task: TaskRecord, nowMs: number): Look {
  const { state } = task;
  if (state.at !== 'ended') throw new TypeError('a look is read after its task has ended');
  const holder = state.holder ?? refuser(task, state.error);
  const look: Look = {
    at: toTimestamp(nowMs),
    taskId: task.taskId,
    decision: null,
    reason: null,
    error: null,
    delegate: holder === null ? null : { id: holder.delegateId, version: holder.version },
  };
  if (state.error !== undefined) {
    // A look changes nothing, so a cancelled or uncertain one has merely not been taken.
    const retryable = state.error.retryable || state.outcome !== 'failed';
    return { ...look, error: { ...state.error, retryable } };
  }
  const output = outputSchema.safeParse(state.output);
  if (output.success) return { ...look, ...output.data };
  return {
    ...look,
    error: {
      code: 'unreadable-decision',
      message: 'The delegate answered without a decision that this manager can read.',
      hint: 'Compare the versions of delegate and manager.',
      category: 'bad-response',
      retryable: false,
    },
  };
}

/** Nobody works on a task that was refused, but somebody did look at it. */
function refuser(task: TaskRecord, error: TaskError | undefined): Holder | null {
  const refusal = task.refusals.at(-1);
  return refusal !== undefined && refusal.code === error?.code ? refusal.holder : null;
}

/** A look that was not taken, for want of room. */
export function missedLook(error: TaskError, nowMs: number): Look {
  return { at: toTimestamp(nowMs), taskId: null, decision: null, reason: null, error, delegate: null };
}

/** The approval after one more look. */
export function withLook(approval: ApprovalRecord, look: Look): ApprovalRecord {
  const hard = look.error !== null && !look.error.retryable;
  const failuresInARow =
    look.error === null ? 0 : hard ? approval.failuresInARow + 1 : approval.failuresInARow;
  const seen: ApprovalRecord = {
    ...approval,
    failuresInARow,
    lookCount: approval.lookCount + 1,
    looks: [...approval.looks, look].slice(-MAX_LOOKS),
    reason: look.reason ?? look.error?.message ?? null,
  };
  if (look.decision === 'approved' || look.decision === 'rejected') {
    return ended(seen, look.decision, look.at);
  }
  const hopeless = hard && HOPELESS.has(look.error.category);
  if (!hopeless && failuresInARow < MAX_FAILURES_IN_A_ROW) return seen;
  return { ...ended(seen, 'failed', look.at), error: look.error };
}

export function ended(
  approval: ApprovalRecord,
  status: Exclude<ApprovalStatus, 'waiting'>,
  finishedAt: string,
): ApprovalRecord {
  return { ...approval, status, finishedAt };
}

/**
 * The wait between two looks, the same for every approval of one connector: approvals that began together go on
 * looking together, which a delegate answers with one request, while connectors drift apart.
 */
export function lookIntervalMs(connector: string, retryIntervalMs: number): number {
  const share = createHash('sha256').update(connector).digest().readUInt32BE(0) / 2 ** 32;
  return Math.round(retryIntervalMs * (1 - INTERVAL_SPREAD + 2 * INTERVAL_SPREAD * share));
}
