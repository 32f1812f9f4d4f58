import { randomUUID } from 'node:crypto';
import { ProtocolViolation } from '../protocol/codec.ts';
import {
  keyOf,
  type Hello,
  type Json,
  type TaskProgress,
  type TaskRef,
  type TaskReject,
  type TaskResult,
  type ToDelegate,
} from '../protocol/messages.ts';
import type { Settings } from './options.ts';
import { effectAt, isFinalRefusal, refusalError } from './placement.ts';
import { Reluctance } from './reluctance.ts';
import { lastHolderId, Seats, type Seat } from './seats.ts';
import type { TaskRecord } from './store.ts';
import {
  cancelledError,
  endingBy,
  leaseExpiredError,
  notAcceptedError,
  outcomeUnknownError,
  overranError,
  unsendableError,
  whyOrphaned,
  type Ending,
} from './task-endings.ts';
import type { TaskSigner } from './task-signing.ts';
import {
  isAccepted,
  isHeld,
  mayHaveWritten,
  TaskTable,
  type AcceptedTask,
  type HeldTask,
} from './task-table.ts';

/** Offers of one task that may come to nothing before any work began. */
const MAX_MISSES = 20;

export interface TaskRequest {
  readonly name: string;
  readonly version: number;
  readonly input: Json;
  /** Every one must be among the delegate's tags. */
  readonly selectors: readonly string[];
  readonly timeoutMs: number;
  /**
   * Tasks of one affinity go to one delegate for as long as it has credit, so that it may do together what they
   * have in common. Default: each goes to the delegate with most room.
   */
  readonly affinity?: string | undefined;
}

/** How the manager comes to doubt that a holder will end its attempt. */
type Loss = 'accept-overdue' | 'not-held' | 'given-up' | 'lease-expired' | 'overran' | 'never-returned';

/** What the end of a held task's clock says. */
const OVERDUE = {
  offered: 'accept-overdue',
  running: 'lease-expired',
  orphaned: 'never-returned',
} as const;

/** Decides for every task who works on it, and which attempt counts. */
export class Scheduler {
  readonly #settings: Settings;
  readonly #signer: TaskSigner | undefined;
  readonly #table: TaskTable;
  readonly #reluctance: Reluctance;
  readonly #seats: Seats;

  constructor(settings: Settings, signer: TaskSigner | undefined) {
    this.#settings = settings;
    this.#signer = signer;
    this.#table = new TaskTable(settings, (task) => this.#overdue(task));
    this.#reluctance = new Reluctance(settings.clock, (taskId) => this.#placeAgain(taskId));
    this.#seats = new Seats(this.#reluctance);
  }

  // --- what the API asks ----------------------------------------------------------------------------------

  /** @throws DelegateError `too-many-tasks`, `manager-closed`, `input-not-canonical` */
  submit(request: TaskRequest): TaskRecord {
    this.#signer?.assertSignable(request.input);
    const task: TaskRecord = {
      ...request,
      affinity: request.affinity ?? null,
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

  /** Why a waiting or orphaned task waits, in a sentence; null for a task that does not. */
  waitingFor(task: TaskRecord): string | null {
    if (isAccepted(task) && task.state.at === 'orphaned') return whyOrphaned(task);
    return task.state.at === 'waiting' ? this.#seats.whyWaiting(task) : null;
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
    this.#seats.of(holder.delegateId)?.send(cancelFrame(asked, reason));
    return asked;
  }

  /** Resolves when the task has ended. Rejects with the signal's reason, `task-not-found` or `manager-closed`. */
  whenEnded(taskId: string, signal: AbortSignal): Promise<TaskRecord> {
    return this.#table.whenEnded(taskId, signal);
  }

  // --- what sessions tell -----------------------------------------------------------------------------------

  /**
   * Compares what a delegate says at `hello` with what it was given. Returns those of `running` that are not its
   * own any more.
   */
  reconcile(seat: Seat, said: Pick<Hello, 'running' | 'unacknowledged'>): TaskRef[] {
    const running = new Set(said.running.map(keyOf));
    const unacknowledged = new Set(said.unacknowledged.map(keyOf));
    for (const task of this.#table.heldBy(seat.delegate.id)) {
      if (running.has(keyOf(task))) this.#keep(task);
      else if (unacknowledged.has(keyOf(task))) this.#awaitResult(task);
      // Offered or accepted on the older connection while this one was opening: hello may be older than that.
      else if (!this.#table.heldAfter(task, seat.openedAt)) this.#lose(task, 'not-held');
    }
    return said.running.filter((ref) => this.#heldBy(seat, ref) === undefined);
  }

  /** What a delegate has not finished at its `goodbye` it has given up, so nobody needs to wait for the lease. */
  left(seat: Seat, unacknowledged: readonly TaskRef[]): void {
    const finished = new Set(unacknowledged.map(keyOf));
    for (const task of this.#table.heldBy(seat.delegate.id)) {
      if (finished.has(keyOf(task))) this.#awaitResult(task);
      else if (task.state.at !== 'orphaned') this.#lose(task, 'given-up');
    }
  }

  /** From now on the delegate is offered tasks, as far as its credit goes. */
  seat(seat: Seat): void {
    this.#seats.add(seat);
    for (const task of this.#table.heldBy(seat.delegate.id)) {
      // A cancel that was asked for while the delegate was away.
      if (task.cancelReason !== null) seat.send(cancelFrame(task, task.cancelReason));
    }
    // Even without credit: a task that only too old delegates could take is not to wait for one.
    this.#dispatch(() => true);
  }

  /** Its tasks stay its own until their leases end. A newer seat of the same delegate is left alone. */
  unseat(seat: Seat): void {
    this.#seats.remove(seat);
  }

  creditChanged(): void {
    this.#dispatch(() => this.#seats.haveCredit);
  }

  accepted(seat: Seat, ref: TaskRef): void {
    const { taskId, attempt } = ref;
    const task = this.#heldBy(seat, ref);
    if (task !== undefined) this.#keep(task);
    // Recorded before it is sent: from the acknowledgement on, the delegate may write.
    if (this.#heldBy(seat, ref) === undefined) seat.disown(ref);
    else seat.send({ type: 'accept.ack', taskId, attempt });
  }

  rejected(seat: Seat, reject: TaskReject): void {
    const task = this.#heldBy(seat, reject);
    // After its accept a reject can't be true; the lease decides.
    if (task?.state.at !== 'offered') return;
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
      if (!final) this.#reluctance.notNow(task.taskId, holder.delegateId, reject.retryAfterMs);
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
      this.#end(task, endingBy(result, seat.delegate.id));
    } else {
      const fields = { taskId, attempt, delegateId: seat.delegate.id, outcome: result.outcome };
      this.#settings.log.info(fields, 'acknowledged a result that does not count');
    }
    seat.send({ type: 'result.ack', taskId, attempt });
  }

  /** Renews the lease of every listed task; returns those that are not the delegate's any more. */
  renewed(seat: Seat, listed: readonly TaskRef[]): TaskRef[] {
    return listed.filter((ref) => {
      const task = this.#heldBy(seat, ref);
      // An offered task may be listed before its accept is sent; its own deadline goes on.
      if (task !== undefined && isAccepted(task)) this.#keep(task);
      return this.#heldBy(seat, ref) === undefined;
    });
  }

  /** Ends every timer and every wait; tasks stay in the store as they are. */
  close(): void {
    this.#table.close();
    this.#reluctance.close();
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

  /** Places what waits, in turn, for as long as it may do any good. */
  #dispatch(worthwhile: () => boolean): void {
    for (const task of this.#table.waiting()) {
      if (!worthwhile()) return;
      this.#place(task);
    }
  }

  #place(task: TaskRecord): void {
    if (task.state.at !== 'waiting' || this.#table.closed) return;
    const placement = this.#seats.choose(task);
    if (placement.kind === 'fail') this.#end(task, { outcome: 'failed', error: placement.error });
    else if (placement.kind === 'offer') this.#offer(task, placement.candidate);
  }

  #offer(task: TaskRecord, seat: Seat): void {
    const { taskId, name, version, input, timeoutMs } = task;
    const attempt = task.attempt + 1;
    const assign = { taskId, attempt, name, version, input, timeoutMs };
    const signature = this.#signer?.sign(assign, seat.delegate.id);
    const { delegate } = seat;
    const holder = { delegateId: delegate.id, name: delegate.name, version: delegate.version };
    // Recorded before it is sent: after a crash in between, the attempt number is never used twice.
    const state = { at: 'offered', holder, effect: effectAt(seat, task) } as const;
    const offered = this.#table.move({ ...task, attempt }, state, 'offered', holder);
    try {
      seat.offer({ type: 'task.assign', ...assign, ...(signature === undefined ? {} : { signature }) });
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      this.#end(offered, { outcome: 'failed', error: unsendableError(error.message) });
    }
  }

  /** Its holder says that it has it, so it is the holder's; unless it should have ended long ago. */
  #keep(task: HeldTask): void {
    const { holder, effect } = task.state;
    if (!isAccepted(task)) {
      this.#reluctance.offerTaken(holder.delegateId);
      const acceptedAt = this.#table.now();
      this.#table.move(task, { at: 'running', holder, effect, acceptedAt }, 'accepted', holder);
    } else if (this.#table.hasOverrun(task)) {
      this.#lose(task, 'overran');
    } else if (task.state.at === 'orphaned') {
      this.#table.move(task, { ...task.state, at: 'running' }, 'reclaimed', holder);
    } else {
      this.#table.renew(task);
    }
  }

  /** Its holder has finished it. A promise that is not kept does not renew the lease for ever. */
  #awaitResult(task: HeldTask): void {
    if (task.state.at === 'orphaned' || (isAccepted(task) && this.#table.hasOverrun(task))) return;
    this.#keep(task);
  }

  /** The attempt is in doubt: waited for if it may have written, else given up and offered again. */
  #lose(task: HeldTask, loss: Loss): void {
    if (mayHaveWritten(task)) return this.#doubt(task, loss);
    const { holder } = task.state;
    const counted = isAccepted(task) ? { losses: task.losses + 1 } : { misses: task.misses + 1 };
    if (!isAccepted(task)) this.#reluctance.offerMissed(holder.delegateId);
    const lost = this.#table.move({ ...task, ...counted }, { at: 'waiting' }, loss, holder);
    this.#seats.of(holder.delegateId)?.disown(task);
    if (task.cancelReason !== null) {
      this.#end(lost, { outcome: 'cancelled', error: cancelledError(task.cancelReason) });
    } else if (isAccepted(task) && loss === 'overran') {
      // Elsewhere it would hold another slot, and the next: what does not end here ends nowhere.
      this.#end(lost, { outcome: 'failed', error: overranError(task), holder });
    } else if (lost.losses >= this.#settings.maxAttempts) {
      this.#end(lost, { outcome: 'failed', error: leaseExpiredError(lost) });
    } else if (lost.misses >= MAX_MISSES) {
      this.#end(lost, { outcome: 'failed', error: notAcceptedError(lost) });
    } else {
      this.#place(lost);
    }
  }

  /** No second attempt: its holder is waited for, as long as it may still tell. Whoever asked to cancel waits too. */
  #doubt(task: AcceptedTask, loss: Loss): void {
    const { holder } = task.state;
    switch (loss) {
      case 'not-held':
      case 'overran':
      case 'never-returned': {
        const noted = this.#table.note(task, loss, holder);
        this.#seats.of(holder.delegateId)?.disown(task);
        this.#end(noted, { outcome: 'unknown', error: outcomeUnknownError(task, loss) });
        return;
      }
      case 'accept-overdue':
      case 'lease-expired':
      case 'given-up':
        this.#table.move(task, { ...task.state, at: 'orphaned' }, 'orphaned', holder, loss);
        return;
      default:
        loss satisfies never;
    }
  }

  #overdue(task: TaskRecord): void {
    if (isHeld(task)) return this.#lose(task, OVERDUE[task.state.at]);
    const error = this.#seats.waitedInVain(task, this.#settings.queueTimeoutMs);
    this.#end(task, { outcome: 'failed', error });
  }

  #end(task: TaskRecord, ending: Ending): TaskRecord {
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

  #placeAgain(taskId: string): void {
    const task = this.task(taskId);
    if (task !== undefined) this.#place(task);
  }
}

function cancelFrame({ taskId, attempt }: TaskRecord, reason: string): ToDelegate {
  return { type: 'task.cancel', taskId, attempt, reason };
}
