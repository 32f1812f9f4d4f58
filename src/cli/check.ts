import { approvalAnswerSchema } from '../connectors/servicenow/tasks/approval-check.ts';
import { runLocalCommand, type LocalCommand } from './local/command.ts';
import { readApprovalFile, withTicket } from './local/input-file.ts';
import { untilSettled, type Ran } from './local/task.ts';
import { CHECKING } from './pages/checking.ts';
import { approvalReport, type Approval } from './report/approval.ts';

/** Apart from those of failures, so that "not yet" is never taken for one. */
const EXIT_CODES: Readonly<Record<Approval['decision'], number>> = { approved: 0, pending: 10, rejected: 11 };
const FAILED = 1;
const FAILED_FOR_NOW = 3;

const DEFAULT_INTERVAL_S = 60;

const command: LocalCommand = {
  name: 'check',
  task: 'servicenow.approval.check',
  page: CHECKING.check,
  async readInput(source, flags) {
    const approval = await readApprovalFile(source);
    const number = flags.get('ticket');
    return number === undefined ? approval : withTicket(approval, number);
  },
  async perform(look, { flags, clock, signal, onProgress }) {
    const intervalS = Number(flags.get('interval') ?? DEFAULT_INTERVAL_S);
    const waiting = {
      forMs: Number(flags.get('wait') ?? 0) * 1_000,
      intervalMs: intervalS * 1_000,
      clock,
      signal,
    };
    return await untilSettled(look, isOpen, waiting, (ran) => {
      onProgress(`looking again in ${intervalS} s: ${whyOpen(ran)}`);
    });
  },
  exitCodeOf: approvalExitCode,
  report(output, terminal) {
    const read = approvalAnswerSchema.safeParse(output);
    return read.success ? approvalReport(read.data, terminal) : undefined;
  },
  noAnswer: 'There is no decision',
};

/** `servicenow-delegate check FILE`: one look at a ticket, or looks until there is a decision. */
export async function check(args: readonly string[]): Promise<number> {
  return await runLocalCommand(command, args);
}

/** 0 approved · 10 pending · 11 rejected · 1 failed for good · 3 failed, and may succeed later. */
export function approvalExitCode({ outcome, answer }: Ran): number {
  if (outcome.outcome === 'succeeded') return EXIT_CODES[approvalAnswerSchema.parse(answer).decision];
  return outcome.error.retryable ? FAILED_FOR_NOW : FAILED;
}

/** Whether another look may tell more. */
function isOpen({ outcome, answer }: Ran): boolean {
  if (outcome.outcome !== 'succeeded') return outcome.error.retryable;
  return approvalAnswerSchema.parse(answer).decision === 'pending';
}

/** Scrubbed by whoever prints it. */
function whyOpen({ outcome, answer }: Ran): string {
  return outcome.outcome === 'succeeded' ? approvalAnswerSchema.parse(answer).reason : outcome.error.message;
}
