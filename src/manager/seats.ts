import type { WireError } from '../kit/errors.ts';
import type { TaskAssign, TaskRef, ToDelegate } from '../protocol/messages.ts';
import { place, type Blocked, type Candidate, type Placement } from './placement.ts';
import type { Reluctance } from './reluctance.ts';
import type { TaskRecord } from './store.ts';
import { queueTimeoutError, whyWaiting } from './task-endings.ts';

/** One connected delegate, as the scheduler speaks to it. */
export interface Seat extends Candidate {
  /** When its connection was opened, on the monotonic clock; its `hello` was written later. */
  readonly openedAt: number;
  /** Spends one credit. Throws `ProtocolViolation` if the frame can't be sent to anyone. */
  offer(assign: TaskAssign): void;
  send(message: ToDelegate): void;
  /** Names the attempt in the next `lost`. */
  disown(ref: TaskRef): void;
}

/** Who is connected, and whom to ask. */
export class Seats {
  readonly #reluctance: Reluctance;
  readonly #byDelegate = new Map<string, Seat>();

  constructor(reluctance: Reluctance) {
    this.#reluctance = reluctance;
  }

  /** Takes the place of an older seat of the same delegate. */
  add(seat: Seat): void {
    this.#byDelegate.set(seat.delegate.id, seat);
  }

  /** A newer seat of the same delegate is left alone. */
  remove(seat: Seat): void {
    if (this.#byDelegate.get(seat.delegate.id) === seat) this.#byDelegate.delete(seat.delegate.id);
  }

  of(delegateId: string): Seat | undefined {
    return this.#byDelegate.get(delegateId);
  }

  get haveCredit(): boolean {
    return this.#all().some((seat) => seat.freeCredit > 0);
  }

  choose(task: TaskRecord): Placement<Seat> {
    const missedLast = lastHolderId(task);
    return place(task, this.#all(), {
      cooling: (delegateId) => this.#reluctance.isCooling(task.taskId, delegateId),
      reluctance: (delegateId) =>
        Number(delegateId === missedLast) + Number(this.#reluctance.takesNothing(delegateId)),
    });
  }

  /** Why the task waits, in a sentence. */
  whyWaiting(task: TaskRecord): string {
    const placement = this.choose(task);
    if (placement.kind === 'fail') return placement.error.message;
    return whyWaiting(task, blockedBy(placement), this.#all());
  }

  /** The same for a task that has waited too long. */
  waitedInVain(task: TaskRecord, waitedMs: number): WireError {
    const placement = this.choose(task);
    if (placement.kind === 'fail') return placement.error;
    return queueTimeoutError(task, blockedBy(placement), this.#all(), waitedMs);
  }

  #all(): Seat[] {
    return [...this.#byDelegate.values()];
  }
}

/** Who was offered the latest attempt. */
export function lastHolderId(task: TaskRecord): string | undefined {
  return task.history.findLast(({ what }) => what === 'offered')?.holder?.delegateId;
}

/** A free delegate is one that has become free this very moment: until now there was none. */
function blockedBy(placement: Exclude<Placement<Seat>, { kind: 'fail' }>): Blocked {
  return placement.kind === 'wait' ? placement.blocked : 'no-capacity';
}
