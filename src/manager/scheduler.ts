import { randomUUID } from 'node:crypto';
import type { Timer } from '../kit/time.ts';
import { ProtocolViolation } from '../protocol/codec.ts';
import {
  keyOf,
  type Hello,
  type Json,
  type TaskAssign,
  type TaskProgress,
  type TaskRef,
  type TaskReject,
  type TaskResult,
  type ToDelegate,
} from '../protocol/messages.ts';
import type { Settings } from './options.ts';
import {
  isFinalRefusal,
  place,
  refusalError,
  type Blocked,
  type Candidate,
  type Placement,
} from './placement.ts';
import type { TaskRecord, TaskState } from './store.ts';
import {
  cancelledError,
  leaseExpiredError,
  notAcceptedError,
  queueTimeoutError,
  unsendableError,
  whyWaiting,
} from './task-endings.ts';
import type { TaskSigner } from './task-signing.ts';
import { isHeld, TaskTable, type HeldTask } from './task-table.ts';

/** Offers of one task that may come to nothing before any work began. */
const MAX_MISSES = 20;
/** How long a delegate is left alone with a task that it rejected without saying for how long. */
const REJECT_COOLING_MS = 1_000;
const MAX_REJECT_COOLING_MS = 60_000;

/** One connected delegate, as the scheduler speaks to it. */
export interface Seat extends Candidate {
  /** Spends one credit. Throws `ProtocolViolation` if the frame can't be sent to anyone. */
  offer(assign: TaskAssign): void;
  send(message: ToDelegate): void;
  /** Names the attempt in the next `lost`. */
  disown(ref: TaskRef): void;
}

export interface TaskRequest {
  readonly name: string;
  readonly version: number;
  readonly input: Json;
  /** Every one must be among the delegate's tags. */
  readonly selectors: readonly string[];
  readonly timeoutMs: number;
}

type Ended = Extract<TaskState, { at: 'ended' }>;

/** Decides for every task who works on it, and which attempt counts. */
export class Scheduler {
  readonly #settings: Settings;
  readonly #signer: TaskSigner | undefined;
  readonly #table: TaskTable;
  readonly #seats = new Map<string, Seat>();
  /** By task and delegate: rejected a moment ago. */
  readonly #cooling = new Map<string, Timer>();

  constructor(settings: Settings, signer: TaskSigner | undefined) {
    this.#settings = settings;
    this.#signer = signer;
    this.#table = new TaskTable(settings, (task) => this.#overdue(task));
  }

  // --- what the API asks ----------------------------------------------------------------------------------

  /** @throws DelegateError `too-many-tasks`, `manager-closed`, `input-not-canonical` */
  submit(request: TaskRequest): TaskRecord {
    this.#signer?.assertSignable(request.input);
    const task: TaskRecord = {
      ...request,
      taskId: `task-${randomUUID()}`,
      createdAt: this.#table.now(),
      attempt: 0,
      losses: 0,
      misses: 0,
      refusals: [],
      cancelReason: null,
      progress: null,
      history: [],
      state: { at: 'waiting' },
    };
    this.#place(this.#table.add(task));
    return this.task(task.taskId) ?? task;
  }

  task(taskId: string): TaskRecord | undefined {
    return this.#table.get(taskId);
  }

  /** Why a waiting task waits, in a sentence; null for a task that does not. */
  waitingFor(task: TaskRecord): string | null {
    if (task.state.at !== 'waiting') return null;
    const placement = this.#choose(task);
    if (placement.kind === 'fail') return placement.error.message;
    return whyWaiting(task, blockedBy(placement), [...this.#seats.values()]);
  }

  tasks(): TaskRecord[] {
    return this.#table.all();
  }

  /** @returns undefined if there is no such task; an ended one is returned as it is. */
  cancel(taskId: string, reason: string): TaskRecord | undefined {
    const task = this.task(taskId);
    if (task === undefined || task.state.at === 'ended' || task.cancelReason !== null) return task;
    if (!isHeld(task)) return this.#end(task, { outcome: 'cancelled', error: cancelledError(reason) });
    const { holder } = task.state;
    const asked = this.#table.note({ ...task, cancelReason: reason }, 'cancel-requested', holder, reason);
    this.#seats.get(holder.delegateId)?.send(cancelFrame(asked, reason));
    return asked;
  }

  /** Resolves when the task has ended. Rejects with the signal's reason, `task-not-found` or `manager-closed`. */
  whenEnded(taskId: string, signal: AbortSignal): Promise<TaskRecord> {
    return this.#table.whenEnded(taskId, signal);
  }

  // --- what sessions tell -----------------------------------------------------------------------------------

  /**
   * Compares what a delegate says it has with what it was given: at `hello`, and at `goodbye`. What it does not
   * name is offered again.
   * Returns those of `running` that are not its own any more.
   */
  reconcile(seat: Seat, said: Pick<Hello, 'running' | 'unacknowledged'>): TaskRef[] {
    const named = new Set([...said.running, ...said.unacknowledged].map(keyOf));
    for (const task of this.#table.held()) {
      if (task.state.holder.delegateId !== seat.delegate.id) continue;
      // Named, so it was received, whether or not its accept got through before the cut.
      if (named.has(keyOf(task))) this.#accept(task);
      else this.#lose(task, 'not-held');
    }
    return said.running.filter((ref) => this.#heldBy(seat, ref) === undefined);
  }

  /** From now on the delegate is offered tasks, as far as its credit goes. */
  seat(seat: Seat): void {
    this.#seats.set(seat.delegate.id, seat);
    for (const task of this.#table.held()) {
      // A cancel that was asked for while the delegate was away.
      if (task.cancelReason !== null && task.state.holder.delegateId === seat.delegate.id) {
        seat.send(cancelFrame(task, task.cancelReason));
      }
    }
    // Even without credit: a task that only too old delegates could take is not to wait for one.
    this.#dispatch(() => true);
  }

  /** Its tasks stay its own until their leases end. A newer seat of the same delegate is left alone. */
  unseat(seat: Seat): void {
    if (this.#seats.get(seat.delegate.id) === seat) this.#seats.delete(seat.delegate.id);
  }

  creditChanged(): void {
    this.#dispatch(() => [...this.#seats.values()].some((seat) => seat.freeCredit > 0));
  }

  accepted(seat: Seat, ref: TaskRef): void {
    const task = this.#heldBy(seat, ref);
    if (task === undefined) {
      seat.disown(ref);
      return;
    }
    this.#accept(task);
    seat.send({ type: 'accept.ack', taskId: ref.taskId, attempt: ref.attempt });
  }

  rejected(seat: Seat, reject: TaskReject): void {
    const task = this.#heldBy(seat, reject);
    if (task === undefined) return;
    const { holder } = task.state;
    const refusal = { holder, code: reject.code, message: reject.message };
    const final = isFinalRefusal(reject.code);
    const rejected = this.#table.move(
      {
        ...task,
        misses: task.misses + 1,
        refusals: final ? [...task.refusals, refusal] : task.refusals,
      },
      { at: 'waiting' },
      'rejected',
      holder,
      `${reject.code}: ${reject.message}`,
    );
    if (task.cancelReason !== null) {
      this.#end(rejected, { outcome: 'cancelled', error: cancelledError(task.cancelReason) });
    } else if (!final && rejected.misses >= MAX_MISSES) {
      this.#end(rejected, { outcome: 'failed', error: refusalError(refusal) });
    } else {
      if (!final) this.#cool(task.taskId, holder.delegateId, reject.retryAfterMs ?? REJECT_COOLING_MS);
      this.#place(rejected);
    }
  }

  progressed(seat: Seat, frame: TaskProgress): void {
    const task = this.#heldBy(seat, frame);
    if (task === undefined || (task.progress !== null && frame.seq <= task.progress.seq)) return;
    this.#table.put({
      ...task,
      progress: { seq: frame.seq, message: frame.message, at: this.#table.now() },
    });
  }

  /** Every copy is acknowledged; the first that comes from the latest attempt counts. */
  finished(seat: Seat, result: TaskResult): void {
    const { taskId, attempt } = result;
    const task = this.task(taskId);
    if (task !== undefined && this.#counts(task, seat, result)) {
      this.#end(task, {
        outcome: result.outcome,
        ...(result.outcome === 'succeeded' ? { output: result.output } : { error: result.error }),
        // Who it is was proven at connect; which version did the work only the result itself can say.
        holder: {
          delegateId: seat.delegate.id,
          name: result.delegate.name,
          version: result.delegate.version,
        },
        timing: result.timing,
      });
    } else {
      const fields = { taskId, attempt, delegateId: seat.delegate.id };
      this.#settings.log.info(fields, 'acknowledged a result that does not count');
    }
    seat.send({ type: 'result.ack', taskId, attempt });
  }

  /** Renews the lease of every listed task; returns those that are not the delegate's any more. */
  renewed(seat: Seat, listed: readonly TaskRef[]): TaskRef[] {
    return listed.filter((ref) => {
      const task = this.#heldBy(seat, ref);
      // An offered task may be listed before its accept is sent; its own deadline goes on.
      if (task?.state.at === 'running') this.#table.renew(task);
      return task === undefined;
    });
  }

  /** Ends every timer and every wait; tasks stay in the store as they are. */
  close(): void {
    this.#table.close();
    for (const timer of this.#cooling.values()) timer.cancel();
  }

  // --- inside -----------------------------------------------------------------------------------------------

  /** The attempt, if it is the latest of its task and this delegate's. */
  #heldBy(seat: Seat, ref: TaskRef): HeldTask | undefined {
    const task = this.task(ref.taskId);
    if (task === undefined || !isHeld(task) || task.attempt !== ref.attempt) return undefined;
    return task.state.holder.delegateId === seat.delegate.id ? task : undefined;
  }

  /**
   * A result counts until a higher attempt is made, even after the lease has ended: the work was done, and doing
   * it again would only risk a second write. A `cancelled` after that merely confirms that it was given up.
   */
  #counts(task: TaskRecord, seat: Seat, result: TaskResult): boolean {
    if (task.attempt !== result.attempt || task.state.at === 'ended') return false;
    if (isHeld(task)) return task.state.holder.delegateId === seat.delegate.id;
    return lastHolderId(task) === seat.delegate.id && result.outcome !== 'cancelled';
  }

  /** Places what waits, oldest first, for as long as it may do any good. */
  #dispatch(worthwhile: () => boolean): void {
    for (const { taskId } of this.#table.open()) {
      if (!worthwhile()) return;
      // Read again: placing one task may, through an observer, have moved another.
      const task = this.task(taskId);
      if (task !== undefined) this.#place(task);
    }
  }

  #place(task: TaskRecord): void {
    if (task.state.at !== 'waiting' || this.#table.closed) return;
    const placement = this.#choose(task);
    if (placement.kind === 'fail') this.#end(task, { outcome: 'failed', error: placement.error });
    else if (placement.kind === 'offer') this.#offer(task, placement.candidate);
  }

  #choose(task: TaskRecord): Placement<Seat> {
    return place(task, [...this.#seats.values()], {
      cooling: (delegateId) => this.#cooling.has(coolingKey(task.taskId, delegateId)),
      avoid: lastHolderId(task),
    });
  }

  #offer(task: TaskRecord, seat: Seat): void {
    const { taskId, name, version, input, timeoutMs } = task;
    const attempt = task.attempt + 1;
    const assign = { taskId, attempt, name, version, input, timeoutMs };
    const signature = this.#signer?.sign(assign, seat.delegate.id);
    const { delegate } = seat;
    const holder = { delegateId: delegate.id, name: delegate.name, version: delegate.version };
    // Recorded before it is sent: after a crash in between, the attempt number is never used twice.
    const offered = this.#table.move({ ...task, attempt }, { at: 'offered', holder }, 'offered', holder);
    try {
      seat.offer({ type: 'task.assign', ...assign, ...(signature === undefined ? {} : { signature }) });
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#end(offered, { outcome: 'failed', error: unsendableError(error.message) });
    }
  }

  #accept(task: HeldTask): void {
    const { at, holder } = task.state;
    if (at === 'running') this.#table.renew(task);
    else this.#table.move(task, { at: 'running', holder }, 'accepted', holder);
  }

  /** The attempt is given up; the task is offered again, unless it has had its share. */
  #lose(task: HeldTask, what: 'lease-expired' | 'accept-overdue' | 'not-held'): void {
    const { at, holder } = task.state;
    const counted = at === 'running' ? { losses: task.losses + 1 } : { misses: task.misses + 1 };
    const lost = this.#table.move({ ...task, ...counted }, { at: 'waiting' }, what, holder);
    this.#seats.get(holder.delegateId)?.disown(task);
    if (task.cancelReason !== null) {
      this.#end(lost, { outcome: 'cancelled', error: cancelledError(task.cancelReason) });
    } else if (lost.losses >= this.#settings.maxAttempts) {
      this.#end(lost, { outcome: 'failed', error: leaseExpiredError(lost) });
    } else if (lost.misses >= MAX_MISSES) {
      this.#end(lost, { outcome: 'failed', error: notAcceptedError(lost) });
    } else {
      this.#place(lost);
    }
  }

  #overdue(task: TaskRecord): void {
    if (isHeld(task)) {
      this.#lose(task, task.state.at === 'running' ? 'lease-expired' : 'accept-overdue');
      return;
    }
    const placement = this.#choose(task);
    const connected = [...this.#seats.values()];
    const error =
      placement.kind === 'fail'
        ? placement.error
        : queueTimeoutError(task, blockedBy(placement), connected, this.#settings.queueTimeoutMs);
    this.#end(task, { outcome: 'failed', error });
  }

  #end(
    task: TaskRecord,
    ending: Pick<Ended, 'outcome' | 'output' | 'error'> & Partial<Pick<Ended, 'holder' | 'timing'>>,
  ): TaskRecord {
    const holder = ending.holder ?? (isHeld(task) ? task.state.holder : null);
    const detail = ending.error === undefined ? ending.outcome : `${ending.outcome}: ${ending.error.code}`;
    const finishedAt = this.#table.now();
    return this.#table.move(
      task,
      { timing: null, ...ending, at: 'ended', holder, finishedAt },
      'ended',
      holder,
      detail,
    );
  }

  #cool(taskId: string, delegateId: string, wantedMs: number): void {
    const key = coolingKey(taskId, delegateId);
    this.#cooling.get(key)?.cancel();
    const timer = this.#settings.clock.after(Math.min(wantedMs, MAX_REJECT_COOLING_MS), () => {
      this.#cooling.delete(key);
      const task = this.task(taskId);
      if (task !== undefined) this.#place(task);
    });
    this.#cooling.set(key, timer);
  }
}

/** A free delegate is one that has become free this very moment: until now there was none. */
function blockedBy(placement: Exclude<Placement<Seat>, { kind: 'fail' }>): Blocked {
  return placement.kind === 'wait' ? placement.blocked : 'no-capacity';
}

function lastHolderId(task: TaskRecord): string | undefined {
  return task.history.findLast(({ what }) => what === 'offered')?.holder?.delegateId;
}

function cancelFrame({ taskId, attempt }: TaskRecord, reason: string): ToDelegate {
  return { type: 'task.cancel', taskId, attempt, reason };
}

function coolingKey(taskId: string, delegateId: string): string {
  return `${taskId} ${delegateId}`;
}
