import type { PreparedTask, TaskType } from '../../connectors/connector.ts';
import { type DelegateError, wrap } from '../../kit/errors.ts';
import type { RejectCode, TaskAssign } from '../../protocol/messages.ts';
import { MAX_ERROR_TEXT } from './runner.ts';
import type { TaskEntry } from './task-state.ts';

/** What the decision depends on, read at one moment. */
export interface IntakeView {
  /** The highest attempt of this task that is in flight or unacknowledged. */
  known: TaskEntry | undefined;
  /** The highest attempt of this task that was acknowledged or discarded lately. */
  endedAttempt: number | undefined;
  /** An attempt of this task that was discarded and whose code has not ended. */
  leaving: TaskEntry | undefined;
  draining: boolean;
  /** Whether this assign is within what was granted to the session it came by. */
  withinCredit: boolean;
  /** Why the delegate could not keep another result; undefined if it could. */
  noRoom: string | undefined;
  /** Why the signature does not do; undefined if it does, or none is needed. */
  signatureFault: string | undefined;
  taskTypes: readonly TaskType[];
}

export type IntakeVerdict =
  | {
      is: 'accept';
      type: TaskType;
      prepared: PreparedTask;
      /** The attempt whose end must be waited for. */
      replaces: TaskEntry | undefined;
    }
  | { is: 'accept-again' }
  | { is: 'result-again' }
  | {
      is: 'reject';
      code: RejectCode;
      message: string;
      /** Of the customer's policy, if that is what refuses. */
      rule?: string;
    };

/**
 * Whether to take an assigned task. Pure: it reads the view and decides; nothing is sent and nothing changes.
 * Copies of what is known come first, because answering them costs nothing and starts nothing.
 */
export function judgeAssign(assign: TaskAssign, view: IntakeView): IntakeVerdict {
  const { known } = view;
  if (known !== undefined && known.ref.attempt === assign.attempt) {
    return { is: known.state.at === 'finished' ? 'result-again' : 'accept-again' };
  }
  const highest = Math.max(known?.ref.attempt ?? 0, view.endedAttempt ?? 0);
  if (assign.attempt <= highest) {
    return reject('stale-attempt', `Attempt ${assign.attempt} of this task; attempt ${highest} is known.`);
  }
  if (view.draining) return reject('draining', 'This delegate is leaving and takes no more work.');
  if (!view.withinCredit) return reject('no-credit', 'More tasks were assigned than this delegate granted.');
  if (view.noRoom !== undefined) return reject('outbox-full', view.noRoom);
  if (view.signatureFault !== undefined) return reject('bad-signature', view.signatureFault);

  const named = view.taskTypes.filter((type) => type.name === assign.name);
  if (named.length === 0) return reject('unknown-task', `This delegate knows no task ${assign.name}.`);
  const type = named.find((candidate) => candidate.version === assign.version);
  if (type === undefined) {
    const versions = named.map((candidate) => candidate.version).join(', ');
    return reject(
      'unsupported-version',
      `${assign.name}: version ${assign.version}; supported: ${versions}.`,
    );
  }
  try {
    return { is: 'accept', type, prepared: type.prepare(assign.input), replaces: known ?? view.leaving };
  } catch (thrown) {
    return rejectInput(wrap(thrown));
  }
}

function rejectInput(error: DelegateError): IntakeVerdict {
  const separator = error.message.includes('\n') ? '\n' : ' ';
  const message = error.hint === undefined ? error.message : error.message + separator + error.hint;
  if (error.category !== 'policy') return reject('invalid-input', message);
  const rule = error.details?.['rule'];
  return { ...reject('policy-denied', message), ...(typeof rule === 'string' ? { rule } : {}) };
}

function reject(code: RejectCode, message: string): Extract<IntakeVerdict, { is: 'reject' }> {
  return { is: 'reject', code, message: message.slice(0, MAX_ERROR_TEXT) };
}
