import { SUCCEEDED, type TaskEnd } from '../../observability/metrics.ts';
import type { TaskResult } from '../../protocol/messages.ts';

/** @param result undefined if it was nobody's any more */
export function endOf(result: TaskResult | undefined): Pick<TaskEnd, 'outcome' | 'code'> {
  if (result === undefined) return { outcome: 'discarded', code: 'discarded' };
  return { outcome: result.outcome, code: errorCode(result).code ?? SUCCEEDED };
}

export function errorCode(result: TaskResult): { code?: string } {
  return result.outcome === 'succeeded' ? {} : { code: result.error.code };
}
