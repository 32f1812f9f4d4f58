import { z } from 'zod';
import {
  delegateIdentitySchema,
  TASK_EFFECTS,
  taskRefSchema,
  toManagerSchemas,
  type TaskRef,
  type TaskResult,
} from '../../protocol/messages.ts';
import { EndedAttempts } from './ended-attempts.ts';
import type { BegunTask, Recovered } from './journal.ts';
import { TakenSignatures } from './taken-signatures.ts';

const epochS = z.number();

const recordSchema = z.discriminatedUnion('is', [
  z.object({
    is: z.literal('begin'),
    ref: taskRefSchema,
    name: z.string(),
    effect: z.enum(TASK_EFFECTS),
    receivedAt: z.string(),
    delegate: delegateIdentitySchema,
    signature: z.object({ untilS: epochS, takenAtS: epochS }).optional(),
  }),
  z.object({ is: z.literal('start'), ref: taskRefSchema, startedAt: z.string() }),
  z.object({ is: z.literal('finish'), result: toManagerSchemas['task.result'] }),
  z.object({ is: z.literal('forget'), ref: taskRefSchema }),
  /** A signed attempt of a task that may have been forgotten since. */
  z.object({ is: z.literal('taken'), ref: taskRefSchema, untilS: epochS }),
  z.object({ is: z.literal('signature-time'), latestS: epochS, lostUntilS: epochS }),
  /** What came before it in this segment holds everything that was alive in those with these numbers. */
  z.object({ is: z.literal('compacted'), replaces: z.array(z.number().int()) }),
]);

export type JournalRecord = z.infer<typeof recordSchema>;

export function encodeRecord(record: JournalRecord): string {
  return JSON.stringify(record);
}

/** Undefined for what this version does not understand. */
export function decodeRecord(text: string): JournalRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = recordSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

type LiveTask = BegunTask | TaskResult;

/** What the records add up to. Of each task there is one attempt: a higher one begins when the lower has ended. */
export class LiveTasks {
  /** By task id. Begun ones in the order in which they began, finished ones behind, in that of their finish. */
  readonly #tasks = new Map<string, LiveTask>();
  readonly #ended = new EndedAttempts();
  readonly #signatures = new TakenSignatures();

  apply(record: JournalRecord): void {
    switch (record.is) {
      case 'begin': {
        const { is: _, signature, ...begin } = record;
        if (signature !== undefined) this.#signatures.take(begin.ref, signature);
        if (this.#get(begin.ref) === undefined) this.#put(begin.ref, { ...begin, startedAt: undefined });
        return;
      }
      case 'start':
        this.#start(record.ref, record.startedAt);
        return;
      case 'finish':
        this.#put(record.result, record.result);
        return;
      case 'forget':
        this.undoBegin(record.ref);
        this.#ended.remember(record.ref);
        return;
      case 'taken':
        this.#signatures.take(record.ref, { untilS: record.untilS, takenAtS: 0 });
        return;
      case 'signature-time':
        this.#signatures.recall(record);
        return;
      case 'compacted':
        return;
      default:
        record satisfies never;
    }
  }

  /** As if this attempt had never been begun. */
  undoBegin(ref: TaskRef): void {
    if (this.#get(ref) !== undefined) this.#tasks.delete(ref.taskId);
  }

  undoStart(ref: TaskRef): void {
    this.#start(ref, undefined);
  }

  recovered(): Recovered {
    const tasks = [...this.#tasks.values()];
    return {
      begun: tasks.filter(isBegun),
      finished: tasks.filter((task): task is TaskResult => !isBegun(task)),
      ended: this.#ended.refs(),
      signatures: this.#signatures.marks(),
    };
  }

  /**
   * To be said when records may be missing: whether a write had begun is then not known of any, nor whether a
   * signature was used.
   */
  doubt(nowMs: number): void {
    this.#signatures.doubt(nowMs / 1_000);
    for (const task of this.#tasks.values()) {
      if (isBegun(task) && task.effect === 'writes') this.#start(task.ref, task.startedAt ?? task.receivedAt);
    }
  }

  /** The fewest records that add up to the same. */
  *snapshot(): Generator<JournalRecord> {
    const { taken, latestS, lostUntilS } = this.#signatures.marks();
    if (latestS > 0 || lostUntilS > 0) yield { is: 'signature-time', latestS, lostUntilS };
    for (const { ref, untilS } of taken) yield { is: 'taken', ref, untilS };
    for (const ref of this.#ended.refs()) yield { is: 'forget', ref };
    for (const task of this.#tasks.values()) {
      if (!isBegun(task)) {
        yield { is: 'finish', result: task };
        continue;
      }
      const { startedAt, ...begin } = task;
      yield { is: 'begin', ...begin };
      if (startedAt !== undefined) yield { is: 'start', ref: task.ref, startedAt };
    }
  }

  #get({ taskId, attempt }: TaskRef): LiveTask | undefined {
    const task = this.#tasks.get(taskId);
    return task !== undefined && attemptOf(task) === attempt ? task : undefined;
  }

  #start(ref: TaskRef, startedAt: string | undefined): void {
    const task = this.#get(ref);
    if (task !== undefined && isBegun(task)) this.#tasks.set(ref.taskId, { ...task, startedAt });
  }

  #put({ taskId, attempt }: TaskRef, task: LiveTask): void {
    const known = this.#tasks.get(taskId);
    if (known !== undefined && attemptOf(known) > attempt) return;
    if (attempt <= (this.#ended.of(taskId) ?? 0)) return;
    this.#tasks.delete(taskId);
    this.#tasks.set(taskId, task);
  }
}

function isBegun(task: LiveTask): task is BegunTask {
  return 'ref' in task;
}

function attemptOf(task: LiveTask): number {
  return isBegun(task) ? task.ref.attempt : task.attempt;
}
