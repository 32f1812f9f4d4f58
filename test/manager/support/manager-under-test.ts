import { deferred } from '../../../src/kit/flow.ts';
import {
  startManager,
  type Manager,
  type ManagerEvent,
  type ManagerOptions,
  type TaskRecord,
  type TaskRequest,
} from '../../../src/manager/manager.ts';

export interface Watched {
  readonly manager: Manager;
  /** The first event, past or future, that the reader recognises. */
  readonly seen: <T>(reader: (event: ManagerEvent) => T | undefined) => Promise<T>;
}

/** Managers of one test file, each ended after its test. */
export function managersUnderTest(): (options?: ManagerOptions) => Promise<Watched> {
  const started: Manager[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((manager) => manager.close()));
  });
  return async (options = {}) => {
    const events: ManagerEvent[] = [];
    const listeners = new Set<(event: ManagerEvent) => void>();
    const manager = await startManager({
      ...options,
      onEvent: (event) => {
        options.onEvent?.(event);
        events.push(event);
        for (const listener of listeners) listener(event);
      },
    });
    started.push(manager);

    const seen = async <T>(reader: (event: ManagerEvent) => T | undefined): Promise<T> => {
      for (const event of events) {
        const past = reader(event);
        if (past !== undefined) return past;
      }
      const found = deferred<T>();
      const listener = (event: ManagerEvent): void => {
        const value = reader(event);
        if (value !== undefined) found.resolve(value);
      };
      listeners.add(listener);
      try {
        return await found.promise;
      } finally {
        listeners.delete(listener);
      }
    };
    return { manager, seen };
  };
}

export function readTask(changes: Partial<TaskRequest> = {}): TaskRequest {
  return { name: 'demo.read', version: 1, input: { n: 1 }, selectors: [], timeoutMs: 60_000, ...changes };
}

/** What is known of an ended task; throws for one that has not ended. */
export function endingOf(task: TaskRecord | undefined) {
  if (task?.state.at !== 'ended') throw new Error(`the task has not ended: ${task?.state.at}`);
  return task.state;
}
