import { z } from 'zod';
import { boundedWords } from '../kit/text.ts';
import { toTimestamp } from '../kit/time.ts';
import { managerError } from './errors.ts';
import type { ApprovalRecord, ApprovalStatus, Holder, Look, TaskError, TaskRecord } from './store.ts';

/** Looks in a row with an error that waiting does not cure, before the approval fails. */
const MAX_FAILURES_IN_A_ROW = 3;
/** Looks that an approval keeps; the count goes on, and the log has the others. */
const MAX_LOOKS = 50;
/** Of a text in a kept look, so that thousands of approvals fit into memory; the last one stays whole beside them. */
const MAX_KEPT_CHARS = 512;
/** Of a text in a log line. */
const MAX_LOGGED_CHARS = 200;
/** Of each part of a ticket's name, which nobody has checked yet. */
const MAX_TICKET_CHARS = 80;

const outputSchema = z.object({
  decision: z.enum(['approved', 'rejected', 'pending']),
  reason: z.string().max(8_192),
});

const ticketSchema = z.object({
  type: z.string(),
  number: z.string().optional(),
  sysId: z.string().optional(),
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
    delegate: holder === null ? null : { id: holder.delegateId, name: holder.name, version: holder.version },
  };
  if (state.error !== undefined) {
    // A look changes nothing, so a cancelled or uncertain one has merely not been taken.
    const retryable = state.error.retryable || state.outcome !== 'failed';
    return { ...look, error: { ...state.error, retryable } };
  }
  const output = outputSchema.safeParse(state.output);
  if (output.success) return { ...look, ...output.data };
  const message = 'The delegate answered without a decision that this manager can read.';
  return { ...look, error: managerError('unreadable-decision', message).toWire() };
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

/** The approval after one more look; the next is due at `nextLookMs` if it comes to that. */
export function withLook(approval: ApprovalRecord, look: Look, nextLookMs: number): ApprovalRecord {
  const hard = look.error !== null && !look.error.retryable;
  const failuresInARow =
    look.error === null ? 0 : hard ? approval.failuresInARow + 1 : approval.failuresInARow;
  const seen: ApprovalRecord = {
    ...approval,
    failuresInARow,
    lookCount: approval.lookCount + 1,
    looks: [...approval.looks, kept(look)].slice(-MAX_LOOKS),
    reason: look.reason ?? look.error?.message ?? null,
    error: look.error,
    nextLookAt: nextLookMs < Date.parse(approval.expiresAt) ? toTimestamp(nextLookMs) : null,
  };
  if (look.decision === 'approved' || look.decision === 'rejected') {
    return ended(seen, look.decision, look.at);
  }
  if (!(hard && isHopeless(look.error)) && failuresInARow < MAX_FAILURES_IN_A_ROW) return seen;
  return ended(seen, 'failed', look.at);
}

/** What is asked is itself wrong or forbidden, whatever becomes of the ticket: the next look would ask the same. */
function isHopeless({ code, category }: TaskError): boolean {
  return code === 'invalid-input' || category === 'policy';
}

function kept(look: Look): Look {
  const short = (text: string): string => boundedWords(text, MAX_KEPT_CHARS) ?? '';
  if (look.error === null) return { ...look, reason: look.reason === null ? null : short(look.reason) };
  const { details: _, hint, message, ...rest } = look.error;
  return {
    ...look,
    error: { ...rest, message: short(message), ...(hint === undefined ? {} : { hint: short(hint) }) },
  };
}

/** Why an approval waits and for how long still, in a sentence; null for one that has ended. */
export function whyApprovalWaits(approval: ApprovalRecord): string | null {
  const { status, reason, error, failuresInARow, nextLookAt, expiresAt, lookCount } = approval;
  if (status !== 'waiting') return null;
  if (lookCount === 0) return 'the first look is under way';
  const said = (reason ?? 'the ticket is not decided').replace(/\.$/, '');
  const final =
    error === null || error.retryable
      ? ''
      : ` (waiting does not cure it; failure ${failuresInARow} of ${MAX_FAILURES_IN_A_ROW} in a row)`;
  const next =
    nextLookAt === null ? `expiring at ${expiresAt} without another look` : `asking again at ${nextLookAt}`;
  return `${said}${final}; ${next}`;
}

/** The line that the log keeps of a look. */
export function lookFields(
  approval: ApprovalRecord,
  look: Look,
  durationMs: number,
): Record<string, string | number | boolean | null | undefined> {
  const { error, delegate } = look;
  return {
    approvalId: approval.approvalId,
    connector: approval.connector,
    ...ticketFields(approval),
    look: approval.lookCount,
    taskId: look.taskId,
    decision: look.decision,
    code: error?.code,
    retryable: error?.retryable,
    failuresInARow: approval.failuresInARow,
    reason: boundedWords(look.reason ?? error?.message ?? '', MAX_LOGGED_CHARS),
    delegate: delegate?.name,
    delegateVersion: delegate?.version,
    durationMs: Math.round(durationMs),
    status: approval.status,
    nextLookAt: approval.nextLookAt,
  };
}

/** Which ticket it is, as far as the question says it in a form that the delegate could read. */
export function ticketFields({ question }: ApprovalRecord): { ticketType?: string; ticket?: string } {
  const read = ticketSchema.safeParse(question['ticket']);
  if (!read.success) return {};
  const { type, number, sysId } = read.data;
  const ticket = number ?? sysId;
  return {
    ticketType: type.slice(0, MAX_TICKET_CHARS),
    ...(ticket === undefined ? {} : { ticket: ticket.slice(0, MAX_TICKET_CHARS) }),
  };
}

export function ended(
  approval: ApprovalRecord,
  status: Exclude<ApprovalStatus, 'waiting'>,
  finishedAt: string,
): ApprovalRecord {
  return { ...approval, status, finishedAt, nextLookAt: null };
}
