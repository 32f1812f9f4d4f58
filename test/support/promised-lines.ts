import type { TaskRecord } from '../../src/manager/store.ts';

export type Ended = Extract<TaskRecord['state'], { at: 'ended' }>;

/** What `unknown` is a fair word for; every other outcome promises a number of lines. */
const LINES_BY_OUTCOME: Readonly<Record<Ended['outcome'], readonly number[]>> = {
  succeeded: [1],
  failed: [0],
  cancelled: [0],
  unknown: [0, 1],
};

/** How many lines a ledger may have of a writing task that ended so. */
export function promisedLines({ outcome, error }: Pick<Ended, 'outcome' | 'error'>): readonly number[] {
  // The protocol's one `failed` that says nothing about the work: it stands for a result that did not fit.
  return error?.code === 'result-too-large' ? [1] : LINES_BY_OUTCOME[outcome];
}
