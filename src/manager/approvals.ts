import { randomUUID } from 'node:crypto';
import { DelegateError, wrap, type WireError } from '../kit/errors.ts';
import { sleep, toTimestamp } from '../kit/time.ts';
import type { Json } from '../protocol/messages.ts';
import { ended, lookIntervalMs, missedLook, readLook, withLook } from './approval-looks.ts';
import type { Settings } from './options.ts';
import type { Scheduler } from './scheduler.ts';
import type { ApprovalRecord, ApprovalStatus, Look, TaskRecord } from './store.ts';

const LOOK_TASK = { name: 'servicenow.approval.check', version: 1 };
const LOOK_TIMEOUT_MS = 60_000;
const MAX_WAITING_APPROVALS = 1_000;
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
  readonly #watches = new Map<string, Watch>();
  #closed = false;

  constructor(settings: Settings, scheduler: Scheduler) {
    this.#settings = settings;
    this.#scheduler = scheduler;
    // Those that a restart interrupted go on.
    for (const approval of this.all()) if (approval.status === 'waiting') this.#watch(approval.approvalId);
  }

  /** @throws DelegateError `connector-not-found`, `too-many-approvals`, `manager-closed` */
  start(request: ApprovalRequest): ApprovalRecord {
    if (this.#closed) {
      throw new DelegateError('manager-closed', 'The manager is closed.', { category: 'unavailable' });
    }
    if (this.#settings.store.connectors.get(request.connector) === undefined) {
      throw new DelegateError('connector-not-found', `There is no connector ${request.connector}.`, {
        category: 'not-found',
      });
    }
    if (this.#watches.size >= MAX_WAITING_APPROVALS) {
      throw new DelegateError('too-many-approvals', `${MAX_WAITING_APPROVALS} approvals wait already.`, {
        category: 'unavailable',
        retryable: true,
      });
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
      lookCount: 0,
      looks: [],
      finishedAt: null,
    };
    this.#put(approval);
    this.#watch(approval.approvalId);
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
      for (;;) {
        const look = await this.#look(this.#waiting(approvalId), stop.signal);
        const seen = withLook(this.#waiting(approvalId), look);
        this.#put(seen);
        if (seen.status !== 'waiting') return;
        await sleep(clock, lookIntervalMs(seen.connector, seen.retryIntervalMs), stop.signal);
      }
    } catch (error) {
      this.#stopped(this.#waiting(approvalId), error);
    } finally {
      expiry.cancel();
    }
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
      throw new DelegateError('connector-not-found', `The connector ${approval.connector} was deleted.`, {
        category: 'not-found',
      });
    }
    const input: Json = { connector: connector.connector, ...approval.question };
    return this.#scheduler.submit({
      ...LOOK_TASK,
      input,
      selectors: connector.selectors,
      timeoutMs: LOOK_TIMEOUT_MS,
    });
  }

  #stopped(approval: ApprovalRecord, thrown: unknown): void {
    const now = toTimestamp(this.#settings.clock.now());
    if (thrown instanceof WatchEnd) {
      if (thrown.status === undefined) return;
      // The last look's reason says more about an expiry than the expiry itself.
      const reason = thrown.status === 'cancelled' ? thrown.message : (approval.reason ?? thrown.message);
      this.#put({ ...ended(approval, thrown.status, now), reason });
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
    const { store, log, onEvent } = this.#settings;
    store.approvals.put(approval.approvalId, approval);
    if (approval.status !== 'waiting') this.#forgetOldest();
    log.info(
      { approvalId: approval.approvalId, status: approval.status, looks: approval.lookCount },
      'approval',
    );
    onEvent({ type: 'approval.changed', approval });
  }

  #forgetOldest(): void {
    const done = this.all().filter(({ status }) => status !== 'waiting');
    for (const { approvalId } of done.slice(0, -MAX_ENDED_APPROVALS)) {
      this.#settings.store.approvals.delete(approvalId);
    }
  }
}
