import { keyOf, type TaskRef, type TaskResult } from '../protocol/messages.ts';
import type { TaskEffect } from '../connectors/connector.ts';

/** What must survive of an accepted task before the manager hears that it was accepted. No input: it names secrets. */
export interface BeginRecord {
  ref: TaskRef;
  name: string;
  effect: TaskEffect;
  /** RFC 3339. */
  receivedAt: string;
}

/** What a start finds from the run before. */
export interface Recovered {
  /** Begun, and no result is known. */
  begun: readonly BeginRecord[];
  /** Finished and not acknowledged, oldest first. */
  finished: readonly TaskResult[];
}

/**
 * The memory of the way of one task. Each promise resolves when the record is as durable as the journal makes it;
 * only then does the next step of the task happen.
 */
export interface Journal extends AsyncDisposable {
  recover(): Promise<Recovered>;
  begin(record: BeginRecord): Promise<void>;
  finish(result: TaskResult): Promise<void>;
  forget(ref: TaskRef): Promise<void>;
}

/** Keeps results across every disconnect, but not across the end of the process. */
export function memoryJournal(): Journal {
  const begun = new Map<string, BeginRecord>();
  const finished = new Map<string, TaskResult>();
  return {
    recover: () => Promise.resolve({ begun: [...begun.values()], finished: [...finished.values()] }),
    begin(record) {
      begun.set(keyOf(record.ref), record);
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
  };
}
