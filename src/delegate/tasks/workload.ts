import type { TaskType } from '../../connectors/connector.ts';
import { MAX_TIMEOUT_MS } from '../../protocol/limits.ts';
import type { TaskAssign, TaskRef, ToManager } from '../../protocol/messages.ts';
import type { Tracer } from '../../observability/tracing/tracer.ts';
import { judgeAssign } from './intake.ts';
import type { Journal } from '../journal/journal.ts';
import { Leases } from './lease.ts';
import { Outbox, type Channel, type OutboxLimits } from './outbox.ts';
import { SignatureGate } from './signature-gate.ts';
import { SpokenWords } from './spoken-words.ts';
import { interruptedRecord, refusedRecord, takenRecord } from './task-audit.ts';
import { endOf } from './task-end.ts';
import { TaskLives, type TaskLivesOptions } from './task-lives.ts';
import { CANNOT_RECORD, TaskRecords } from './task-records.ts';
import { resultOfInterrupted } from './task-result.ts';
import type { SignatureRules } from './task-signature.ts';
import { TaskEntry, TaskTable } from './task-state.ts';

export interface WorkloadOptions extends TaskLivesOptions {
  taskTypes: readonly TaskType[];
  capacity: number;
  outboxLimits: OutboxLimits;
  tracer: Tracer;
  signatureRules: () => Promise<SignatureRules>;
}

/**
 * The delegate's tasks, from assign to acknowledged result. It outlives every session: a session only brings
 * frames in and offers a channel out.
 */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #table = new TaskTable();
  readonly #leases: Leases;
  readonly #words: SpokenWords;
  readonly #records: TaskRecords;
  readonly #signatures: SignatureGate;
  readonly #lives: TaskLives;
  readonly outbox: Outbox;
  #channel: Channel | undefined;
  #draining = false;
  /** Called when a slot became free, so that credit can be raised. */
  onSlotFree: () => void = () => {};

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#leases = new Leases(options.clock, (ref) => this.#leaseLost(ref));
    this.#records = new TaskRecords(options.log);
    this.#words = new SpokenWords(options.redactor, (ref) => this.#table.get(ref));
    this.#signatures = new SignatureGate(options.signatureRules, options.clock);
    this.outbox = new Outbox(options.outboxLimits);
    this.#lives = new TaskLives(options, {
      table: this.#table,
      leases: this.#leases,
      words: this.#words,
      records: this.#records,
      outbox: this.outbox,
      channel: () => this.#channel,
      onSlotFree: () => this.onSlotFree(),
    });
    options.audit.onWritable = () => this.onSlotFree();
    this.outbox.onReplaced = (result) => this.#records.replace(result);
  }

  /** Takes up what the run before left, and records in this journal from then on. Comes before the first session. */
  async recover(journal: Journal): Promise<void> {
    this.#records.open(journal);
    journal.onWritable = () => this.onSlotFree();
    const { begun, finished, ended, signatures } = journal.recover();
    this.#signatures.recall(signatures);
    for (const ref of ended) this.#table.rememberEnded(ref);
    const interrupted = begun.map((task) => resultOfInterrupted(task, this.#options.clock.now()));
    for (const [index, result] of interrupted.entries()) {
      const task = begun[index]?.name ?? '';
      this.#options.metrics.taskEnded({ task, ...endOf(result), times: undefined });
      await this.#options.audit.record(interruptedRecord(task, result));
    }
    await Promise.all(interrupted.map((result) => this.#records.keep(result)));
    for (const result of [...finished, ...interrupted]) {
      this.#table.add(TaskEntry.finishedBefore(result));
      this.outbox.put(result);
    }
  }

  // --- what sessions and the delegate read ------------------------------------------------------------------

  /** Begun on disk and not finished, in order of arrival: what the protocol calls running. */
  running(): TaskRef[] {
    const begun = this.#table.unfinished().filter(({ state }) => state.at !== 'accepting');
    return begun.map(({ ref }) => ref);
  }

  /** For the line that says what a shutdown still waits for. */
  waitingFor(): { taskId: string; attempt: number; name: string; ageMs: number }[] {
    const now = this.#options.clock.monotonic();
    return this.#table
      .active()
      .map((entry) => ({ ...entry.ref, name: entry.name, ageMs: Math.round(now - entry.receivedAt) }));
  }

  /** Whether tasks and results can be recorded at present. */
  get recording(): boolean {
    return this.#records.writable;
  }

  /** Whether the audit log takes records at present; so, too, where there is none. */
  get auditing(): boolean {
    return this.#options.audit.writable;
  }

  /** What no task is taken without; undefined if both can be written. */
  get unwritable(): 'journal' | 'audit log' | undefined {
    if (!this.recording) return 'journal';
    return this.auditing ? undefined : 'audit log';
  }

  /** Slots that may be granted now. A delegate that leaves, or could not keep another result, has none. */
  get freeSlots(): number {
    if (this.#draining || this.unwritable !== undefined) return 0;
    const slots = Math.min(this.#options.capacity, this.outbox.room);
    return Math.max(0, slots - this.#table.occupied);
  }

  /** Why another task could not be kept; undefined if it could. */
  #noRoom(): string | undefined {
    if (this.unwritable !== undefined) return CANNOT_RECORD;
    if (this.#table.occupied < this.outbox.room) return undefined;
    return 'Too many results wait for acknowledgement; the delegate takes no more work.';
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
    await this.#words.during(assign, () => this.#judge(assign, channel, withinCredit));
  }

  async #judge(assign: TaskAssign, channel: Channel, withinCredit: boolean): Promise<void> {
    const { clock, log, taskTypes } = this.#options;
    const receivedAt = clock.monotonic();
    const ref = { taskId: assign.taskId, attempt: assign.attempt };
    const signature = await this.#signatures.judge(assign);
    const verdict = judgeAssign(assign, {
      known: this.#table.latest(assign.taskId),
      endedAttempt: this.#table.endedAttempt(assign.taskId),
      leaving: this.#table.leaving(assign.taskId),
      draining: this.#draining,
      withinCredit,
      noRoom: this.#noRoom(),
      signatureFault: this.#signatures.faultOf(ref, signature),
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
        this.#options.metrics.taskRejected(verdict.code);
        void this.#options.audit.record(refusedRecord(assign, verdict));
        channel.send({ type: 'task.reject', ...ref, code: verdict.code, message: verdict.message });
        return;
      case 'accept': {
        const { type, prepared, replaces } = verdict;
        const entry = new TaskEntry({ ref, name: type.name, effect: type.effect, receivedAt });
        entry.isBlocked = replaces !== undefined;
        if (replaces?.discarded === false) this.#discard(replaces, 'replaced by a higher attempt');
        this.#table.add(entry);
        this.#words.keep(entry, assign, prepared.ownWords);
        entry.signature = this.#signatures.take(ref, signature);
        entry.taken = takenRecord(assign, prepared, entry.signature !== undefined);
        entry.trace = this.#options.tracer.task(assign);
        const timeoutMs = Math.min(assign.timeoutMs, MAX_TIMEOUT_MS);
        this.#lives.begin({ entry, prepared, timeoutMs, channel, replaces });
      }
    }
  }

  /** The frame without secrets. In what is about a task, the manager's own words are left. */
  clean(frame: ToManager): ToManager {
    return this.#words.clean(frame);
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
    const { clock, metrics } = this.#options;
    if (entry?.finishedAt !== undefined) metrics.resultAcknowledged(clock.monotonic() - entry.finishedAt);
    this.#records.forget(ref);
    this.onSlotFree();
  }

  // --- leaving ----------------------------------------------------------------------------------------------

  /** No more credit, and every assign that still comes is rejected. What runs goes on. */
  drain(): void {
    this.#draining = true;
  }

  stopAll(reason: 'shutdown' | 'revoked', message: string): void {
    for (const entry of this.#table.active()) entry.stop(reason, message);
  }

  /** Resolves when no task runs and every result is recorded. */
  idle(): Promise<void> {
    return this.#lives.ended();
  }

  #discard(entry: TaskEntry, message: string): void {
    entry.discard(message);
    this.#table.discard(entry);
    this.#leases.drop(entry.ref);
    if (entry.state.at === 'finished') {
      this.outbox.acknowledge(entry.ref);
      this.#records.forget(entry.ref);
      this.onSlotFree();
    }
    this.#options.log.info({ ...entry.ref, task: entry.name, why: message }, 'task discarded');
  }

  /** Only work that may write holds a lease: reading may finish, and its result waits for a connection. */
  #leaseLost(ref: TaskRef): void {
    const entry = this.#table.get(ref);
    if (entry === undefined) return;
    this.#options.metrics.leaseLost();
    entry.stop('lease-lost', 'no heartbeat was acknowledged for as long as the lease lasts');
  }
}
