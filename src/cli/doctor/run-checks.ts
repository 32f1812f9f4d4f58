import { DelegateError } from '../../kit/errors.ts';
import { untilAborted } from '../../kit/flow.ts';
import type { Clock } from '../../kit/time.ts';
import { fail, failure, type CheckResult, type Finding } from './finding.ts';

/** One thing that is looked at. It may wait for what others look at, never for their results. */
export interface Check {
  /** Stable: scripts and documents name it. */
  readonly id: string;
  /** Milliseconds that it may take; as all others unless given. */
  readonly withinMs?: number;
  readonly look: (signal: AbortSignal) => Finding | Promise<Finding>;
}

export interface RunOptions {
  readonly clock: Clock;
  /** Milliseconds that each check may take. They run side by side, so that it bounds them all. */
  readonly withinMs: number;
  /** Ends everything; its reason goes through. */
  readonly signal: AbortSignal;
  /** Told of what is still open, at the beginning and after each end. */
  readonly onProgress?: (open: readonly string[], total: number) => void;
}

/** Every check side by side; the results in the order of the checks. Rejects only with the signal's reason. */
export async function runChecks(checks: readonly Check[], options: RunOptions): Promise<CheckResult[]> {
  const open = new Set(checks.map(({ id }) => id));
  const tell = (): void => options.onProgress?.([...open], checks.length);
  tell();
  return await Promise.all(
    checks.map(async (check) => {
      const result = await runCheck(check, options);
      open.delete(check.id);
      tell();
      return result;
    }),
  );
}

async function runCheck(check: Check, { clock, signal, ...options }: RunOptions): Promise<CheckResult> {
  const { id, withinMs = options.withinMs } = check;
  const startedMs = clock.monotonic();
  const late = new AbortController();
  const timer = clock.after(withinMs, () => late.abort(new Error('the time of the check is over')));
  const ending = AbortSignal.any([signal, late.signal]);
  const finding = await (async (): Promise<Finding> => {
    try {
      return await untilAborted((async () => await check.look(ending))(), ending);
    } catch (thrown) {
      signal.throwIfAborted();
      // What a check says of its own is more exact, also if the end of its time was the reason.
      if (late.signal.aborted && !(thrown instanceof DelegateError)) return noAnswer(withinMs);
      return failure(thrown);
    } finally {
      timer.cancel();
    }
  })();
  return { id, ...finding, durationMs: Math.round(clock.monotonic() - startedMs) };
}

function noAnswer(withinMs: number): Finding {
  return fail(
    `There was no answer within ${withinMs / 1_000} s.`,
    'What was asked hangs: a firewall that drops packets, a name server, or a disk. --timeout gives it longer.',
  );
}

/** 2 the settings are wrong, as `run` would say · 1 something else failed · 0 nothing did. */
export function exitCodeOf(results: readonly CheckResult[]): 0 | 1 | 2 {
  const failed = results.filter(({ status }) => status === 'FAIL').map(({ id }) => id);
  if (failed.some((id) => SETTINGS.includes(id))) return 2;
  return failed.length > 0 ? 1 : 0;
}

const SETTINGS: readonly string[] = ['config', 'policy'];
