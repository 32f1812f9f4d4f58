import { deferred, type Deferred } from '../../kit/flow.ts';
import type { AuditEvent } from '../../observability/audit/events.ts';
import { NO_TRACE, type TaskSpan } from '../../observability/tracing/tracer.ts';
import type { TaskEffect, TaskRef, TaskResult } from '../../protocol/messages.ts';
import { EndedAttempts } from '../journal/ended-attempts.ts';
import type { TakenMark } from '../journal/taken-signatures.ts';

/**
 * The task table: the one value that says what is in flight. Heartbeats, credit and `hello` are read from it;
 * journal, outbox and leases hold only their own data, keyed by task and attempt.
 *
 *   accepting ──begin on disk──► accepted ──────────► running ──result on disk──► finished ──result.ack──► (acknowledged)
 *       │                      (a task that may write      │
 *       │                       waits for accept.ack)      │
 *       └───────────────────── discarded ──────────────────┘   lost, or replaced by a higher attempt
 */
export type TaskState =
  | { readonly at: 'accepting' }
  | { readonly at: 'accepted' }
  | { readonly at: 'running' }
  | { readonly at: 'finished'; readonly result: TaskResult };

/** Why work was told to stop. The reason, not the look of the error that follows, decides the outcome. */
export type StopReason = 'cancelled' | 'deadline' | 'lease-lost' | 'shutdown' | 'revoked' | 'discarded';

/** The reason of a task's signal. */
export class TaskStopped extends Error {
  override readonly name = 'TaskStopped';
  readonly reason: StopReason;

  constructor(reason: StopReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export class TaskEntry {
  readonly ref: TaskRef;
  readonly name: string;
  readonly effect: TaskEffect;
  /** Monotonic, milliseconds. */
  readonly receivedAt: number;
  readonly #abort = new AbortController();
  /** Resolves when the manager has acknowledged the accept. */
  readonly acknowledged: Deferred<void> = deferred();
  /** Resolves when no code of the task runs any more. */
  readonly ended: Deferred<void> = deferred();
  /** Whether `acknowledged` has resolved. */
  acceptAcknowledged = false;
  /** Its result, if it comes to one, belongs to nobody. */
  discarded = false;
  /** It waits for the end of the attempt before it, and has no code of its own to run yet. */
  isBlocked = false;
  state: TaskState = { at: 'accepting' };
  /** Of a task that was signed. */
  signature: TakenMark | undefined;
  /** What the audit log is to hold before the task is begun. */
  taken: AuditEvent | undefined;
  trace: TaskSpan = NO_TRACE;
  /** When its result was ready to be sent, monotonic; undefined before, and for one of the run before. */
  finishedAt: number | undefined;
  /** The audit log holds that it was taken, and not yet how it ended. */
  isAudited = false;
  /** By the customer's name for each secret that it was given, where that may have gone. */
  readonly secretsUsed = new Map<string, ReadonlySet<string>>();

  constructor(fields: { ref: TaskRef; name: string; effect: TaskEffect; receivedAt: number }) {
    this.ref = fields.ref;
    this.name = fields.name;
    this.effect = fields.effect;
    this.receivedAt = fields.receivedAt;
  }

  /** A task of the run before, known by its result alone: it is not done again. */
  static finishedBefore(result: TaskResult): TaskEntry {
    const { taskId, attempt } = result;
    const entry = new TaskEntry({ ref: { taskId, attempt }, name: '', effect: 'reads', receivedAt: 0 });
    entry.state = { at: 'finished', result };
    entry.ended.resolve();
    return entry;
  }

  usedSecret(name: string, origins: readonly string[]): void {
    this.secretsUsed.set(name, new Set([...(this.secretsUsed.get(name) ?? []), ...origins]));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The first reason counts. */
  stop(reason: StopReason, message: string): void {
    this.#abort.abort(new TaskStopped(reason, message));
  }

  /** Whatever it was stopped for before: a task that was cancelled can still be given up. */
  discard(message: string): void {
    this.discarded = true;
    this.stop('discarded', message);
  }

  acknowledgeAccept(): void {
    this.acceptAcknowledged = true;
    this.acknowledged.resolve();
  }

  get stopReason(): StopReason | undefined {
    const reason: unknown = this.#abort.signal.reason;
    return reason instanceof TaskStopped ? reason.reason : undefined;
  }
}

export class TaskTable {
  /** By task id: the highest attempt known. */
  readonly #entries = new Map<string, TaskEntry>();
  /** Attempts that were replaced or lost and whose code has not ended yet: they still hold a slot. */
  readonly #leaving = new Set<TaskEntry>();
  readonly #ended = new EndedAttempts();

  get(ref: TaskRef): TaskEntry | undefined {
    const entry = this.#entries.get(ref.taskId);
    return entry?.ref.attempt === ref.attempt ? entry : undefined;
  }

  latest(taskId: string): TaskEntry | undefined {
    return this.#entries.get(taskId);
  }

  /** The highest attempt of a task that was acknowledged or discarded lately. */
  endedAttempt(taskId: string): number | undefined {
    return this.#ended.of(taskId);
  }

  /** The last attempt of a task that was discarded and whose code has not ended; it has waited for those before. */
  leaving(taskId: string): TaskEntry | undefined {
    return [...this.#leaving].findLast((entry) => entry.ref.taskId === taskId);
  }

  add(entry: TaskEntry): void {
    this.#entries.set(entry.ref.taskId, entry);
  }

  /** Takes an entry out for good; if its code still runs, its slot stays taken until that ends. */
  discard(entry: TaskEntry): void {
    this.giveBack(entry);
    if (isOccupying(entry) && !entry.isBlocked) this.#leaving.add(entry);
    this.rememberEnded(entry.ref);
  }

  /** Takes an entry out that was refused after all: the same attempt may come again. */
  giveBack(entry: TaskEntry): void {
    if (this.#entries.get(entry.ref.taskId) === entry) this.#entries.delete(entry.ref.taskId);
  }

  /** To be called when the entry's code has ended. */
  release(entry: TaskEntry): void {
    this.#leaving.delete(entry);
  }

  acknowledge(entry: TaskEntry): void {
    this.#entries.delete(entry.ref.taskId);
    this.rememberEnded(entry.ref);
  }

  /** Known from now on as acknowledged or discarded. */
  rememberEnded(ref: TaskRef): void {
    this.#ended.remember(ref);
  }

  /** Slots in use. */
  get occupied(): number {
    let unfinished = 0;
    for (const entry of this.#entries.values()) if (isOccupying(entry)) unfinished += 1;
    return unfinished + this.#leaving.size;
  }

  /** Taken and not finished, in order of arrival. */
  unfinished(): TaskEntry[] {
    return [...this.#entries.values()].filter(isOccupying);
  }

  /** Everything that still runs code, replaced attempts included. */
  active(): TaskEntry[] {
    return [...this.unfinished(), ...this.#leaving];
  }
}

function isOccupying(entry: TaskEntry): boolean {
  return entry.state.at !== 'finished';
}
