import { randomUUID } from 'node:crypto';
import { wrap, type WireError } from '../kit/errors.ts';
import { toTimestamp } from '../kit/time.ts';
import type { Json } from '../protocol/messages.ts';
import { ended, lookFields, missedLook, readLook, ticketFields, withLook } from './approval-looks.ts';
import { managerError } from './errors.ts';
import { LookTicks, nextTick } from './look-ticks.ts';
import type { Settings } from './options.ts';
import type { Scheduler } from './scheduler.ts';
import type { ApprovalRecord, ApprovalStatus, Look, TaskRecord } from './store.ts';

const LOOK_TASK = { name: 'servicenow.approval.check', version: 1 };
const LOOK_TIMEOUT_MS = 60_000;
/** Fewer than the tasks that the manager takes: when all of them look at once there is still room for others. */
const MAX_WAITING_APPROVALS = 8_000;
/** Ended approvals that can still be read; the oldest goes first. */
const MAX_ENDED_APPROVALS = 1_000;

interface ApprovalRequest {
  readonly connector: string;
  readonly question: ApprovalRecord['question'];
  readonly retryIntervalMs: number;
  readonly timeoutMs: number;
}

/** Why a watch stops before the ticket decides. */
class WatchEnd extends Error {
  override readonly name = 'WatchEnd';
  readonly status: Extract<ApprovalStatus, 'expired' | 'cancelled'> | undefined;

  constructor(status: WatchEnd['status'], message: string) {
    super(message);
    this.status = status;
  }
}

interface Watch {
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** Asks about tickets again and again until they are decided. One watch for each waiting approval. */
export class Approvals {
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #ticks: LookTicks;
  readonly #watches = new Map<string, Watch>();
  /** Oldest first. */
  readonly #ended = new Set<string>();
  #closed = false;

  constructor(settings: Settings, scheduler: Scheduler) {
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#ticks = new LookTicks(settings.clock);
    // Those that a restart interrupted go on, with a look at once: nobody knows for how long there was no manager.
    for (const { approvalId, status } of this.all()) {
      if (status === 'waiting') this.#watch(approvalId);
      else this.#ended.add(approvalId);
    }
  }

  /** @throws DelegateError `connector-not-found`, `too-many-approvals`, `manager-closed` */
  start(request: ApprovalRequest): ApprovalRecord {
    if (this.#closed) throw managerError('manager-closed', 'The manager is closed.');
    if (this.#settings.store.connectors.get(request.connector) === undefined) {
      throw managerError('connector-not-found', `There is no connector ${request.connector}.`);
    }
    if (this.#watches.size >= MAX_WAITING_APPROVALS) {
      throw managerError('too-many-approvals', `${MAX_WAITING_APPROVALS} approvals wait already.`);
    }
    const nowMs = this.#settings.clock.now();
    const approval: ApprovalRecord = {
      ...request,
      approvalId: `approval-${randomUUID()}`,
      createdAt: toTimestamp(nowMs),
      expiresAt: toTimestamp(nowMs + request.timeoutMs),
      status: 'waiting',
      reason: null,
      error: null,
      failuresInARow: 0,
      nextLookAt: null,
      lookCount: 0,
      looks: [],
      finishedAt: null,
    };
    this.#put(approval);
    const { approvalId, connector, retryIntervalMs, expiresAt } = approval;
    const fields = { approvalId, connector, ...ticketFields(approval), retryIntervalMs, expiresAt };
    this.#settings.log.info(fields, 'an approval waits');
    this.#watch(approvalId);
    return approval;
  }

  get(approvalId: string): ApprovalRecord | undefined {
    return this.#settings.store.approvals.get(approvalId);
  }

  /** Oldest first. */
  all(): ApprovalRecord[] {
    return [...this.#settings.store.approvals.values()];
  }

  /** @returns undefined if there is no such approval; one that has ended stays as it is. */
  async cancel(approvalId: string, reason: string): Promise<ApprovalRecord | undefined> {
    const watch = this.#watches.get(approvalId);
    watch?.stop.abort(new WatchEnd('cancelled', reason));
    await watch?.ended;
    return this.get(approvalId);
  }

  /** Resolves when every watch has stopped; waiting approvals stay waiting in the store. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { stop } of this.#watches.values())
      stop.abort(new WatchEnd(undefined, 'the manager is closing'));
    await Promise.all([...this.#watches.values()].map((watch) => watch.ended));
  }

  #watch(approvalId: string): void {
    const stop = new AbortController();
    const run = this.#run(approvalId, stop).finally(() => this.#watches.delete(approvalId));
    this.#watches.set(approvalId, { stop, ended: run });
  }

  /** Never rejects: whatever happens is how the approval ended. */
  async #run(approvalId: string, stop: AbortController): Promise<void> {
    const { clock } = this.#settings;
    const leftMs = Math.max(0, Date.parse(this.#waiting(approvalId).expiresAt) - clock.now());
    const expiry = clock.after(leftMs, () => {
      stop.abort(new WatchEnd('expired', 'the ticket was not decided in time'));
    });
    try {
      let dueAt = clock.monotonic();
      for (;;) {
        const beganAt = clock.monotonic();
        const look = await this.#look(this.#waiting(approvalId), stop.signal);
        const endedAt = clock.monotonic();
        const asked = this.#waiting(approvalId);
        const nextAt = this.#nextLook(asked, dueAt, endedAt);
        const seen = withLook(asked, look, Math.round(clock.now() + nextAt - endedAt));
        this.#put(seen);
        this.#settings.log.info(lookFields(seen, look, endedAt - beganAt), 'looked at a ticket');
        if (seen.status !== 'waiting') return;
        await this.#ticks.until(nextAt, stop.signal);
        dueAt = nextAt;
      }
    } catch (error) {
      this.#stopped(this.#waiting(approvalId), error);
    } finally {
      expiry.cancel();
    }
  }

  #nextLook({ connector, retryIntervalMs }: ApprovalRecord, dueAt: number, endedAt: number): number {
    const { minRetryIntervalMs: minIntervalMs } = this.#settings;
    return nextTick({ connector, intervalMs: retryIntervalMs, minIntervalMs, dueAt, endedAt });
  }

  async #look(approval: ApprovalRecord, signal: AbortSignal): Promise<Look> {
    let task: TaskRecord;
    try {
      task = this.#submitLook(approval);
    } catch (error) {
      const refusal = wrap(error);
      if (!refusal.retryable) throw refusal;
      return missedLook(refusal.toWire(), this.#settings.clock.now());
    }
    try {
      return readLook(await this.#scheduler.whenEnded(task.taskId, signal), this.#settings.clock.now());
    } catch (error) {
      this.#scheduler.cancel(task.taskId, 'nobody waits for this look any more');
      throw error;
    }
  }

  #submitLook(approval: ApprovalRecord): TaskRecord {
    // Read for each look, so that a corrected connector helps an approval that waits already.
    const connector = this.#settings.store.connectors.get(approval.connector);
    if (connector === undefined) {
      throw managerError('connector-not-found', `The connector ${approval.connector} was deleted.`);
    }
    const input: Json = { connector: connector.connector, ...approval.question };
    return this.#scheduler.submit({
      ...LOOK_TASK,
      input,
      selectors: connector.selectors,
      timeoutMs: LOOK_TIMEOUT_MS,
      affinity: approval.connector,
    });
  }

  #stopped(approval: ApprovalRecord, thrown: unknown): void {
    const now = toTimestamp(this.#settings.clock.now());
    if (thrown instanceof WatchEnd) {
      if (thrown.status === undefined) return;
      // The last look's reason says more about an expiry than the expiry itself.
      const reason = thrown.status === 'cancelled' ? thrown.message : (approval.reason ?? thrown.message);
      this.#put({ ...ended(approval, thrown.status, now), reason });
      const fields = { approvalId: approval.approvalId, ...ticketFields(approval), status: thrown.status };
      this.#settings.log.info({ ...fields, looks: approval.lookCount }, 'an approval ended undecided');
      return;
    }
    const error: WireError = wrap(thrown).toWire();
    this.#settings.log.warn(
      { approvalId: approval.approvalId, error: thrown },
      'an approval could not go on',
    );
    this.#put({ ...ended(approval, 'failed', now), reason: error.message, error });
  }

  #waiting(approvalId: string): ApprovalRecord {
    const approval = this.get(approvalId);
    if (approval === undefined) throw new TypeError('a waiting approval is in the store until it ends');
    return approval;
  }

  #put(approval: ApprovalRecord): void {
    const { store, onEvent } = this.#settings;
    store.approvals.put(approval.approvalId, approval);
    if (approval.status !== 'waiting') {
      this.#ended.add(approval.approvalId);
      this.#forgetOldest();
    }
    onEvent({ type: 'approval.changed', approval });
  }

  #forgetOldest(): void {
    for (const approvalId of this.#ended) {
      if (this.#ended.size <= MAX_ENDED_APPROVALS) return;
      this.#ended.delete(approvalId);
      this.#settings.store.approvals.delete(approvalId);
    }
  }
}
