import type { DelegateError } from '../kit/errors.ts';
import { deferred, untilAborted, type Deferred } from '../kit/flow.ts';
import { toTimestamp, type Timer } from '../kit/time.ts';
import { managerError } from './errors.ts';
import type { Settings } from './options.ts';
import type { Holder, TaskEvent, TaskRecord, TaskState } from './store.ts';
import { TaskLines } from './task-lines.ts';

/** Tasks that have not ended; more are refused. */
const MAX_OPEN_TASKS = 10_000;
/** Ended tasks that can still be read; the oldest goes first. */
const MAX_ENDED_TASKS = 1_000;
const MAX_HISTORY = 50;

export type HeldTask = TaskRecord & {
  readonly state: Extract<TaskState, { at: 'offered' | 'running' | 'orphaned' }>;
};

export type AcceptedTask = TaskRecord & {
  readonly state: Extract<TaskState, { at: 'running' | 'orphaned' }>;
};

/** Somebody has the latest attempt, or may have it. */
export function isHeld(task: TaskRecord): task is HeldTask {
  return task.state.at === 'offered' || isAccepted(task);
}

export function isAccepted(task: TaskRecord): task is AcceptedTask {
  return task.state.at === 'running' || task.state.at === 'orphaned';
}

/** Its accept was acknowledged, so its work may have begun; a second attempt could write a second time. */
export function mayHaveWritten(task: TaskRecord): task is AcceptedTask {
  return isAccepted(task) && task.state.effect === 'writes';
}

/**
 * The tasks with the clock that each stands under: `queueTimeoutMs` while waiting or orphaned, `acceptWithinMs`
 * while offered, `leaseMs` while running. Decides nothing; `onOverdue` does.
 */
export class TaskTable {
  readonly #settings: Settings;
  readonly #onOverdue: (task: TaskRecord) => void;
  /** Both oldest first. */
  readonly #open = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #lines = new TaskLines();
  readonly #timers = new Map<string, Timer>();
  /** Monotonic, by task: when the attempt was offered, then when it was accepted. */
  readonly #heldSince = new Map<string, number>();
  readonly #waiters = new Map<string, Set<Deferred<TaskRecord>>>();
  #closed = false;

  constructor(settings: Settings, onOverdue: (task: TaskRecord) => void) {
    this.#settings = settings;
    this.#onOverdue = onOverdue;
    // After a restart every task gets its full time again: its delegate had nobody to renew the lease with.
    for (const task of settings.store.tasks.values()) {
      (task.state.at === 'ended' ? this.#ended : this.#open).add(task.taskId);
      this.#lines.moved(task);
      if (isHeld(task)) this.#heldSince.set(task.taskId, settings.clock.monotonic());
      // Whoever was offered a task is not connected yet: it gets the time to come back, not the time to answer.
      this.#start(task, task.state.at === 'offered' ? settings.leaseMs : this.#timeOf(task.state.at));
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get(taskId: string): TaskRecord | undefined {
    return this.#settings.store.tasks.get(taskId);
  }

  /** Ended ones too, as long as they are kept; oldest first. */
  all(): TaskRecord[] {
    return [...this.#settings.store.tasks.values()];
  }

  /**
   * In the order of `TaskLines`, each as it is when its turn comes: placing one may, through an observer, move
   * another.
   */
  *waiting(): Generator<TaskRecord, void, undefined> {
    for (const taskId of this.#lines.inTurn()) {
      const task = this.get(taskId);
      if (task?.state.at === 'waiting') yield task;
    }
  }

  heldBy(delegateId: string): HeldTask[] {
    return [...this.#open]
      .flatMap((taskId) => this.get(taskId) ?? [])
      .filter(isHeld)
      .filter((task) => task.state.holder.delegateId === delegateId);
  }

  /** Whether it was offered, or then accepted, later than this on the monotonic clock. */
  heldAfter({ taskId }: HeldTask, monotonicMs: number): boolean {
    return (this.#heldSince.get(taskId) ?? -Infinity) > monotonicMs;
  }

  /** Its holder should have ended it a full lease ago. Counted anew after a restart. */
  hasOverrun(task: AcceptedTask): boolean {
    const { clock, leaseMs } = this.#settings;
    return !this.heldAfter(task, clock.monotonic() - task.timeoutMs - leaseMs);
  }

  /** @throws DelegateError `too-many-tasks`, `manager-closed` */
  add(task: TaskRecord): TaskRecord {
    if (this.#closed) throw closedError();
    if (this.#open.size >= MAX_OPEN_TASKS) {
      throw managerError('too-many-tasks', `${MAX_OPEN_TASKS} tasks are open already.`);
    }
    this.#open.add(task.taskId);
    return this.move(task, task.state, 'created');
  }

  /** The one place where a task changes its state, and its clock with it. */
  move(
    task: TaskRecord,
    state: TaskState,
    what: TaskEvent['what'],
    holder: Holder | null = null,
    detail: string | null = null,
  ): TaskRecord {
    if (state.at === 'ended') {
      this.#open.delete(task.taskId);
      this.#ended.add(task.taskId);
      this.#forgetOldest();
    }
    const accepted = task.state.at === 'offered' && state.at === 'running';
    const moved = { ...task, state };
    this.#lines.moved(moved);
    if (state.at === 'offered' || accepted)
      this.#heldSince.set(task.taskId, this.#settings.clock.monotonic());
    else if (!isHeld(moved)) this.#heldSince.delete(task.taskId);
    this.renew(moved);
    const noted = this.note(moved, what, holder, detail);
    if (state.at === 'ended')
      for (const waiter of this.#waiters.get(task.taskId) ?? []) waiter.resolve(noted);
    return noted;
  }

  /** Adds a line to the task's history without moving it. */
  note(
    task: TaskRecord,
    what: TaskEvent['what'],
    holder: Holder | null,
    detail: string | null = null,
  ): TaskRecord {
    const event: TaskEvent = { at: this.now(), attempt: task.attempt, what, holder, detail };
    const noted = { ...task, history: [...task.history, event].slice(-MAX_HISTORY) };
    this.#settings.log.info(
      { taskId: task.taskId, attempt: task.attempt, delegateId: holder?.delegateId, detail },
      `task ${what}`,
    );
    this.put(noted);
    return noted;
  }

  put(task: TaskRecord): void {
    this.#settings.store.tasks.put(task.taskId, task);
    this.#settings.onEvent({ type: 'task.changed', task });
  }

  /** Starts the clock of the task's state again. */
  renew(task: TaskRecord): void {
    this.#start(task, this.#timeOf(task.state.at));
  }

  /** Resolves when the task has ended. Rejects with the signal's reason, `task-not-found` or `manager-closed`. */
  async whenEnded(taskId: string, signal: AbortSignal): Promise<TaskRecord> {
    if (this.#closed) throw closedError();
    const task = this.get(taskId);
    if (task === undefined) throw managerError('task-not-found', `There is no task ${taskId}.`);
    if (task.state.at === 'ended') return task;
    const waiter = deferred<TaskRecord>();
    const waiters = this.#waiters.get(taskId) ?? new Set();
    this.#waiters.set(taskId, waiters.add(waiter));
    try {
      return await untilAborted(waiter.promise, signal);
    } finally {
      waiters.delete(waiter);
      if (waiters.size === 0) this.#waiters.delete(taskId);
    }
  }

  now(): string {
    return toTimestamp(this.#settings.clock.now());
  }

  /** Ends every timer and every wait; tasks stay in the store as they are. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.reject(closedError());
  }

  /** Milliseconds; undefined for a state that lasts. */
  #timeOf(at: TaskState['at']): number | undefined {
    const { queueTimeoutMs, acceptWithinMs, leaseMs } = this.#settings;
    return {
      waiting: queueTimeoutMs,
      offered: acceptWithinMs,
      running: leaseMs,
      orphaned: queueTimeoutMs,
      ended: undefined,
    }[at];
  }

  #start({ taskId }: TaskRecord, afterMs: number | undefined): void {
    this.#timers.get(taskId)?.cancel();
    this.#timers.delete(taskId);
    if (this.#closed || afterMs === undefined) return;
    const onOverdue = (): void => {
      const task = this.get(taskId);
      if (task !== undefined) this.#onOverdue(task);
    };
    this.#timers.set(taskId, this.#settings.clock.after(afterMs, onOverdue));
  }

  #forgetOldest(): void {
    if (this.#ended.size <= MAX_ENDED_TASKS) return;
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest);
      this.#settings.store.tasks.delete(oldest);
      break;
    }
  }
}

function closedError(): DelegateError {
  return managerError('manager-closed', 'The manager is closed.');
}
