import type { PreparedTask, TaskContext, TaskType } from '../connectors/connector.ts';
import { untilAborted } from '../kit/flow.ts';
import type { Redactor } from '../kit/secret.ts';
import { toTimestamp, type Clock } from '../kit/time.ts';
import { MAX_PROGRESS_PER_SECOND, MAX_TIMEOUT_MS } from '../protocol/limits.ts';
import {
  type DelegateIdentity,
  type TaskAssign,
  type TaskRef,
  type TaskResult,
  type TaskTiming,
} from '../protocol/messages.ts';
import type { Logger } from '../observability/logger.ts';
import { judgeAssign } from './intake.ts';
import type { Journal } from './journal.ts';
import { Leases } from './lease.ts';
import { fitResult, Outbox, type Channel } from './outbox.ts';
import { outcomeOfUnstarted, run, type Outcome } from './runner.ts';
import { signatureFault, type SignatureRules } from './task-signature.ts';
import { TaskEntry, TaskTable, type TaskState } from './task-state.ts';

export interface WorkloadOptions {
  taskTypes: readonly TaskType[];
  capacity: number;
  journal: Journal;
  clock: Clock;
  log: Logger;
  redactor: Redactor;
  /** Who this delegate is; known once it has enrolled. */
  identity: () => DelegateIdentity;
  signatureRules: () => SignatureRules;
}

/**
 * The delegate's tasks, from assign to acknowledged result. It outlives every session: a session only brings
 * frames in and offers a channel out.
 */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #table = new TaskTable();
  readonly #leases: Leases;
  readonly #lives = new Set<Promise<void>>();
  readonly outbox = new Outbox();
  #channel: Channel | undefined;
  #draining = false;
  /** Called when a slot became free, so that credit can be raised. */
  onSlotFree: () => void = () => {};

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#leases = new Leases(options.clock, (ref) => this.#leaseLost(ref));
  }

  /** Takes up the results of the run before. To be called before the first session. */
  async recover(): Promise<void> {
    const { finished } = await this.#options.journal.recover();
    for (const result of finished) {
      this.#table.add(TaskEntry.finishedBefore(result));
      this.outbox.put(result);
    }
  }

  // --- what sessions and the delegate read ------------------------------------------------------------------

  /** Accepted and not finished, in order of arrival. */
  running(): TaskRef[] {
    return this.#table.unfinished().map((entry) => entry.ref);
  }

  /** For the line that says what a shutdown still waits for. */
  waitingFor(): { taskId: string; attempt: number; name: string; ageMs: number }[] {
    const now = this.#options.clock.monotonic();
    return this.#table
      .active()
      .map((entry) => ({ ...entry.ref, name: entry.name, ageMs: Math.round(now - entry.receivedAt) }));
  }

  /** Slots that may be granted now. A delegate that leaves, or whose outbox is full, has none. */
  get freeSlots(): number {
    if (this.#draining || this.outbox.full) return 0;
    return Math.max(0, this.#options.capacity - this.#table.occupied);
  }

  // --- what sessions bring ----------------------------------------------------------------------------------

  /** Results and progress go to this channel from now on; accepts and results that wait for an ack go at once. */
  attach(channel: Channel, leaseMs: number): void {
    this.#channel = channel;
    this.#leases.leaseMs = leaseMs;
    // Accepted on another connection, after this one had said what runs: the answer may never come by that one.
    for (const entry of this.#table.unfinished()) {
      if (entry.state.at !== 'accepting' && !entry.acceptAcknowledged) {
        channel.send({ type: 'task.accept', ...entry.ref });
      }
    }
    this.outbox.attach(channel);
  }

  detach(channel: Channel): void {
    if (this.#channel === channel) this.#channel = undefined;
    this.outbox.detach(channel);
  }

  /** Answers one assign on the channel that it came by. Resolves when the next frame may be handled. */
  async assign(assign: TaskAssign, channel: Channel, withinCredit: boolean): Promise<void> {
    const { clock, log, taskTypes } = this.#options;
    const receivedAt = clock.monotonic();
    const ref = { taskId: assign.taskId, attempt: assign.attempt };
    const fault = await signatureFault(assign, this.#options.signatureRules(), clock.now());
    const verdict = judgeAssign(assign, {
      known: this.#table.latest(assign.taskId),
      endedAttempt: this.#table.endedAttempt(assign.taskId),
      leaving: this.#table.leaving(assign.taskId),
      draining: this.#draining,
      withinCredit,
      outboxFull: this.outbox.full,
      signatureFault: fault,
      taskTypes,
    });
    switch (verdict.is) {
      case 'accept-again':
        // Not before the begin record is durable; the first accept is then still to come.
        if (this.#table.get(ref)?.state.at !== 'accepting') channel.send({ type: 'task.accept', ...ref });
        return;
      case 'result-again':
        this.outbox.sendAgain(ref);
        return;
      case 'reject':
        log.warn({ ...ref, task: assign.name, code: verdict.code, why: verdict.message }, 'task rejected');
        channel.send({ type: 'task.reject', ...ref, code: verdict.code, message: verdict.message });
        return;
      case 'accept': {
        const { type, prepared, replaces } = verdict;
        const entry = new TaskEntry({ ref, name: type.name, effect: type.effect, receivedAt });
        if (replaces?.discarded === false) this.#discard(replaces, 'replaced by a higher attempt');
        this.#table.add(entry);
        const timeoutMs = Math.min(assign.timeoutMs, MAX_TIMEOUT_MS);
        const life = this.#live(entry, prepared, timeoutMs, channel, replaces)
          .catch((error: unknown) => log.error({ ...ref, err: error }, 'a task was abandoned'))
          .finally(() => this.#lives.delete(life));
        this.#lives.add(life);
      }
    }
  }

  /** `accept.ack`, or a welcome that does not name the task as lost. */
  acceptAcknowledged(refs: readonly TaskRef[]): void {
    for (const ref of refs) this.#table.get(ref)?.acknowledgeAccept();
  }

  cancel(ref: TaskRef, reason: string): void {
    this.#table.get(ref)?.stop('cancelled', reason);
  }

  /** The manager has given these up: the work stops at once and its result, finished or not, is nobody's. */
  lost(refs: readonly TaskRef[]): void {
    for (const ref of refs) {
      const entry = this.#table.get(ref);
      if (entry !== undefined) this.#discard(entry, 'the manager has given the task up');
    }
  }

  leasesRenewed(refs: readonly TaskRef[], from: number): void {
    this.#leases.renew(refs, from);
  }

  resultAcknowledged(ref: TaskRef): void {
    if (!this.outbox.acknowledge(ref)) return;
    const entry = this.#table.get(ref);
    if (entry !== undefined) this.#table.acknowledge(entry);
    this.#record(this.#options.journal.forget(ref));
    this.onSlotFree();
  }

  // --- leaving ----------------------------------------------------------------------------------------------

  /** No more credit, and every assign that still comes is rejected. What runs goes on. */
  drain(): void {
    this.#draining = true;
  }

  stopAll(message: string): void {
    for (const entry of this.#table.active()) entry.stop('shutdown', message);
  }

  /** Resolves when no task runs and every result is recorded. */
  async idle(): Promise<void> {
    while (this.#lives.size > 0) await Promise.all(this.#lives);
  }

  // --- one task ---------------------------------------------------------------------------------------------

  /** The way of one task, in order: begin on disk, accept, work, result on disk, result on its way. */
  async #live(
    entry: TaskEntry,
    prepared: PreparedTask,
    timeoutMs: number,
    channel: Channel,
    replaces: TaskEntry | undefined,
  ): Promise<void> {
    const { clock, journal } = this.#options;
    const receivedWall = clock.now();
    const deadline = clock.after(timeoutMs - (clock.monotonic() - entry.receivedAt), () =>
      entry.stop('deadline', `not ended within ${timeoutMs} ms`),
    );
    try {
      // Two attempts of one task never run side by side, here least of all.
      await replaces?.ended.promise;
      if (!(await this.#begin(entry, receivedWall, channel))) return;
      this.#move(entry, { at: 'accepted' });
      const accept = { type: 'task.accept', ...entry.ref } as const;
      // The delegate may have moved to another connection meanwhile.
      if (!channel.send(accept)) this.#channel?.send(accept);
      if (entry.effect === 'writes') this.#leases.grant(entry.ref, clock.monotonic());

      const { outcome, startedAt } = await this.#work(entry, prepared, entry.receivedAt + timeoutMs);
      if (entry.discarded) return;
      const result = this.#resultOf(entry, outcome, { receivedWall, startedAt });
      await journal.finish(result);
      if (entry.discarded) return;
      this.#move(entry, { at: 'finished', result });
      this.outbox.put(result);
    } finally {
      deadline.cancel();
      this.#leases.drop(entry.ref);
      this.#table.release(entry);
      entry.ended.resolve();
      if (entry.discarded) this.#record(journal.forget(entry.ref));
      this.onSlotFree();
    }
  }

  /** False if the task is not to go on: it was discarded meanwhile, or could not be recorded and is given back. */
  async #begin(entry: TaskEntry, receivedWall: number, channel: Channel): Promise<boolean> {
    const { journal, log } = this.#options;
    const { ref, name, effect } = entry;
    try {
      await journal.begin({ ref, name, effect, receivedAt: toTimestamp(receivedWall) });
      return !entry.discarded;
    } catch (thrown) {
      log.error({ ...ref, err: thrown }, 'the journal takes no record; the task is given back');
      this.#table.giveBack(entry);
      const message = 'The delegate cannot record tasks at present; its log says why.';
      channel.send({ type: 'task.reject', ...ref, code: 'outbox-full', message });
      return false;
    }
  }

  /** `startedAt` is monotonic; undefined if the work never began. */
  async #work(
    entry: TaskEntry,
    prepared: PreparedTask,
    deadline: number,
  ): Promise<{ outcome: Outcome; startedAt: number | undefined }> {
    const { clock, redactor } = this.#options;
    try {
      if (entry.effect === 'writes') await untilAborted(entry.acknowledged.promise, entry.signal);
      entry.signal.throwIfAborted();
    } catch (thrown) {
      const reason = entry.stopReason;
      if (reason === undefined) throw thrown;
      return { outcome: outcomeOfUnstarted(reason), startedAt: undefined };
    }
    this.#move(entry, { at: 'running' });
    const startedAt = clock.monotonic();
    const context = this.#contextOf(entry, deadline);
    const outcome = await run(prepared, context, {
      effect: entry.effect,
      stopReason: () => entry.stopReason,
      redactor,
    });
    return { outcome, startedAt };
  }

  #contextOf(entry: TaskEntry, deadline: number): TaskContext {
    const { clock, log, redactor } = this.#options;
    let seq = 0;
    let lastSentAt = -Infinity;
    return {
      signal: entry.signal,
      deadline,
      clock,
      log: log.child({ taskId: entry.ref.taskId, attempt: entry.ref.attempt, task: entry.name }),
      progress: (message) => {
        const now = clock.monotonic();
        if (now - lastSentAt < 1_000 / MAX_PROGRESS_PER_SECOND || entry.signal.aborted) return;
        lastSentAt = now;
        this.#channel?.send({
          type: 'task.progress',
          ...entry.ref,
          seq: seq++,
          message: redactor.scrub(message),
        });
      },
    };
  }

  #resultOf(
    entry: TaskEntry,
    outcome: Outcome,
    times: { receivedWall: number; startedAt: number | undefined },
  ): TaskResult {
    const { clock, identity } = this.#options;
    const finished = clock.monotonic();
    const started = times.startedAt ?? finished;
    const queueMs = Math.max(0, Math.round(started - entry.receivedAt));
    const runMs = Math.max(0, Math.round(finished - started));
    // Wall times are derived from one reading and monotonic distances, so that a clock jump can't reorder them.
    const timing: TaskTiming = {
      receivedAt: toTimestamp(times.receivedWall),
      startedAt: toTimestamp(times.receivedWall + queueMs),
      finishedAt: toTimestamp(times.receivedWall + queueMs + runMs),
      queueMs,
      runMs,
    };
    return fitResult({ type: 'task.result', ...entry.ref, ...outcome, delegate: identity(), timing });
  }

  #discard(entry: TaskEntry, message: string): void {
    entry.discard(message);
    this.#table.discard(entry);
    this.#leases.drop(entry.ref);
    if (entry.state.at === 'finished') {
      this.outbox.acknowledge(entry.ref);
      this.#record(this.#options.journal.forget(entry.ref));
      this.onSlotFree();
    }
    this.#options.log.info({ ...entry.ref, task: entry.name, why: message }, 'task discarded');
  }

  /** Work that only reads may finish: its result is sent when a connection is back. */
  #leaseLost(ref: TaskRef): void {
    this.#table.get(ref)?.stop('lease-lost', 'no heartbeat was acknowledged for as long as the lease lasts');
  }

  #move(entry: TaskEntry, state: TaskState): void {
    const ended =
      state.at === 'finished' ? { outcome: state.result.outcome, ...errorCode(state.result) } : {};
    this.#options.log.info(
      { ...entry.ref, task: entry.name, from: entry.state.at, to: state.at, ...ended },
      'task',
    );
    entry.state = state;
  }

  /** Something that nobody waits for, and whose failure must still be heard. */
  #record(promise: Promise<void>): void {
    promise.catch((error: unknown) => this.#options.log.error({ err: error }, 'the journal failed'));
  }
}

function errorCode(result: TaskResult): { code?: string } {
  return result.outcome === 'succeeded' ? {} : { code: result.error.code };
}
