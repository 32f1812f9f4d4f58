import { closeSync, existsSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { createMemoryStore, type ManagerStore } from '../../src/manager/manager.ts';
import type {
  Collection,
  DelegateRecord,
  EnrolmentTokenRecord,
  SeenTokenRecord,
  TaskRecord,
} from '../../src/manager/store.ts';

/**
 * Everything that a manager has kept, sent and heard about tasks, in one file, across all of its lives: the store
 * that it is started on again, and the evidence that it is judged by afterwards.
 */
export type Row = PutRow | FrameRow;

/** `record` is null where the record was deleted. */
type Put<In extends string, T> = { kind: 'put'; in: In; id: string; record: T | null };
type PutRow =
  | Put<'tasks', TaskRecord>
  | Put<'delegates', DelegateRecord>
  | Put<'enrolmentTokens', EnrolmentTokenRecord>
  | Put<'seenTokens', SeenTokenRecord>;

/** A frame about one task. Written before it is sent, or before it is read. */
export interface FrameRow {
  kind: 'frame';
  at: string;
  direction: 'sent' | 'received';
  sessionId: string;
  type: string;
  taskId: string;
  attempt: number;
  /** Of a result. */
  outcome?: string | undefined;
}

interface Chronicle extends Disposable {
  readonly store: ManagerStore;
  append(row: Row): void;
}

/**
 * Opens the file, or makes it. A record is in it when `put` returns, so whatever the manager does next is known to
 * its next life. It is not synced to the disk: the end of the process is to be survived, not that of the machine.
 */
export function openChronicle(path: string): Chronicle {
  // The rest of a line that a SIGKILL cut: its `put` has not returned, so nobody was told of it.
  if (existsSync(path)) truncateSync(path, Buffer.byteLength(completeLines(path)));
  const memory = createMemoryStore();
  if (existsSync(path)) for (const row of readChronicle(path)) replay(memory, row);
  const file = openSync(path, 'a', 0o600);
  const append = (row: Row): void => {
    writeSync(file, `${JSON.stringify(row)}\n`);
  };
  const store: ManagerStore = {
    ...memory,
    tasks: written(memory.tasks, (id, record) => append({ kind: 'put', in: 'tasks', id, record })),
    delegates: written(memory.delegates, (id, record) =>
      append({ kind: 'put', in: 'delegates', id, record }),
    ),
    enrolmentTokens: written(memory.enrolmentTokens, (id, record) =>
      append({ kind: 'put', in: 'enrolmentTokens', id, record }),
    ),
    // Or a connection that somebody repeats would be one of the delegate's own to the manager's next life.
    seenTokens: written(memory.seenTokens, (id, record) =>
      append({ kind: 'put', in: 'seenTokens', id, record }),
    ),
  };
  return { store, append, [Symbol.dispose]: () => closeSync(file) };
}

export function readChronicle(path: string): Row[] {
  return completeLines(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // Taken as it is: nobody but this module has written it.
      const row: Row = JSON.parse(line);
      return row;
    });
}

function completeLines(path: string): string {
  const text = readFileSync(path, 'utf8');
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

function replay(store: ManagerStore, row: Row): void {
  if (row.kind !== 'put') return;
  switch (row.in) {
    case 'tasks':
      return restore(store.tasks, row.id, row.record);
    case 'delegates':
      return restore(store.delegates, row.id, row.record);
    case 'enrolmentTokens':
      return restore(store.enrolmentTokens, row.id, row.record);
    case 'seenTokens':
      return restore(store.seenTokens, row.id, row.record);
  }
}

function restore<T>(collection: Collection<T>, id: string, record: T | null): void {
  if (record === null) collection.delete(id);
  else collection.put(id, record);
}

function written<T>(memory: Collection<T>, write: (id: string, record: T | null) => void): Collection<T> {
  return {
    get: (id) => memory.get(id),
    put(id, record) {
      write(id, record);
      memory.put(id, record);
    },
    delete(id) {
      write(id, null);
      memory.delete(id);
    },
    values: () => memory.values(),
  };
}
