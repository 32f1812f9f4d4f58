import type { BegunTask, Journal } from '../../src/delegate/journal/journal.ts';
import { keyOf, type TaskResult } from '../../src/protocol/messages.ts';

/** Keeps records for as long as the test runs. */
export function memoryJournal(changes: Partial<Journal> = {}): Journal {
  const begun = new Map<string, BegunTask>();
  const finished = new Map<string, TaskResult>();
  return {
    writable: true,
    onWritable: () => {},
    recover: () => ({
      begun: [...begun.values()],
      finished: [...finished.values()],
      ended: [],
      signatures: { taken: [], latestS: 0, lostUntilS: 0 },
    }),
    begin(record) {
      begun.set(keyOf(record.ref), { ...record, startedAt: undefined });
      return Promise.resolve();
    },
    start(ref, startedAt) {
      const task = begun.get(keyOf(ref));
      if (task !== undefined) begun.set(keyOf(ref), { ...task, startedAt });
      return Promise.resolve();
    },
    finish(result) {
      begun.delete(keyOf(result));
      finished.set(keyOf(result), result);
      return Promise.resolve();
    },
    forget(ref) {
      begun.delete(keyOf(ref));
      finished.delete(keyOf(ref));
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...changes,
  };
}
