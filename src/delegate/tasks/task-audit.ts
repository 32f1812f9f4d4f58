import { decodeProtectedHeader } from 'jose';
import type { PreparedTask } from '../../connectors/connector.ts';
import type { AuditEvent } from '../../observability/audit/events.ts';
import type { TaskAssign, TaskResult } from '../../protocol/messages.ts';
import { inputHashOrUndefined } from '../../protocol/task-signature.ts';
import type { IntakeVerdict } from './intake.ts';
import type { TaskEntry } from './task-state.ts';

/** What the audit log is told of a task: one record when it is taken or refused, and one when it has ended. */

/** @param isSigned whether its signature was asked for and does */
export function takenRecord(assign: TaskAssign, prepared: PreparedTask, isSigned: boolean): AuditEvent {
  const { taskId, attempt, name, version } = assign;
  return {
    event: 'task',
    taskId,
    attempt,
    name,
    version,
    inputHash: inputHashOrUndefined(assign.input) ?? null,
    signedBy: isSigned ? keyIdOf(assign) : null,
    allowedBy: [...(prepared.allowedBy ?? [])],
  };
}

export function refusedRecord(
  { taskId, attempt, name }: Pick<TaskAssign, 'taskId' | 'attempt' | 'name'>,
  { code, message, rule }: Omit<Extract<IntakeVerdict, { is: 'reject' }>, 'is'>,
): AuditEvent {
  return { event: 'refused', taskId, attempt, name, code, rule: rule ?? null, why: message };
}

/**
 * @param result undefined if it was nobody's: the manager had given the task up
 * @param nowMs monotonic
 */
export function endedRecord(entry: TaskEntry, result: TaskResult | undefined, nowMs: number): AuditEvent {
  const { ref, name, secretsUsed, receivedAt } = entry;
  return {
    event: 'task-ended',
    ...ref,
    name,
    ...endOf(result),
    secrets: Array.from(secretsUsed, ([secret, origins]) => ({
      name: secret,
      hosts: Array.from(origins, (origin) => new URL(origin).host),
    })),
    durationMs: Math.max(0, Math.round(nowMs - receivedAt)),
  };
}

/** Of a task that the run before left unfinished; which secrets it had been given is not known any more. */
export function interruptedRecord(name: string, result: TaskResult): AuditEvent {
  const { taskId, attempt } = result;
  return {
    event: 'task-ended',
    taskId,
    attempt,
    name,
    ...endOf(result),
    secrets: [],
    durationMs: null,
  };
}

function endOf(result: TaskResult | undefined): Pick<Ended, 'outcome' | 'code'> {
  if (result === undefined) return { outcome: 'discarded', code: null };
  return { outcome: result.outcome, code: result.outcome === 'succeeded' ? null : result.error.code };
}

type Ended = Extract<AuditEvent, { event: 'task-ended' }>;

/** What stands for the key of a signature that names none. */
const UNNAMED = 'unnamed';

/** As the signature says, which has been checked, and covers its header. */
function keyIdOf({ signature }: TaskAssign): string {
  return signature === undefined ? UNNAMED : (decodeProtectedHeader(signature).kid ?? UNNAMED);
}
