import { deferred } from '../../../src/kit/flow.ts';
import {
  createMemoryStore,
  startManager,
  type Manager,
  type ManagerEvent,
  type ManagerOptions,
  type ManagerStore,
  type TaskRecord,
  type TaskRequest,
} from '../../../src/manager/manager.ts';
import type { Collection } from '../../../src/manager/store.ts';

interface Watched {
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

export function writeTask(changes: Partial<TaskRequest> = {}): TaskRequest {
  return readTask({ name: 'demo.write', ...changes });
}

/** What a killed manager leaves behind: the store as it is at this instant, whatever that manager does later. */
export function storeLeftBy(store: ManagerStore): ManagerStore {
  const left = createMemoryStore();
  copy(store.enrolmentTokens, left.enrolmentTokens, ({ id }) => id);
  copy(store.delegates, left.delegates, ({ delegateId }) => delegateId);
  copy(store.connectors, left.connectors, ({ identifier }) => identifier);
  copy(store.tasks, left.tasks, ({ taskId }) => taskId);
  copy(store.approvals, left.approvals, ({ approvalId }) => approvalId);
  copy(store.signingKeys, left.signingKeys, ({ kid }) => kid);
  copy(store.seenTokens, left.seenTokens, ({ id }) => id);
  return left;
}

function copy<T>(from: Collection<T>, to: Collection<T>, idOf: (record: T) => string): void {
  for (const record of from.values()) to.put(idOf(record), record);
}

/** What is known of an ended task; throws for one that has not ended. */
export function endingOf(task: TaskRecord | undefined) {
  if (task?.state.at !== 'ended') throw new Error(`the task has not ended: ${task?.state.at}`);
  return task.state;
}
