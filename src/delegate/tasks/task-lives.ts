import type { PreparedTask } from '../../connectors/connector.ts';
import { wrap } from '../../kit/errors.ts';
import { untilAborted } from '../../kit/flow.ts';
import type { Redactor } from '../../kit/secret.ts';
import { toTimestamp, type Clock } from '../../kit/time.ts';
import type { AuditTrail } from '../../observability/audit/trail.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { DelegateIdentity, TaskResult } from '../../protocol/messages.ts';
import type { Leases } from './lease.ts';
import type { Channel, Outbox } from './outbox.ts';
import { outcomeOfUnstarted, run, type Outcome } from './runner.ts';
import type { SpokenWords } from './spoken-words.ts';
import { endedRecord, refusedRecord } from './task-audit.ts';
import { contextOf } from './task-context.ts';
import { endOf, errorCode } from './task-end.ts';
import { CANNOT_RECORD, type TaskRecords } from './task-records.ts';
import { resultOf } from './task-result.ts';
import type { TaskEntry, TaskState, TaskTable } from './task-state.ts';

export interface TaskLivesOptions {
  clock: Clock;
  log: Logger;
  audit: AuditTrail;
  metrics: Metrics;
  redactor: Redactor;
  /** Who this delegate is; known once it has enrolled. */
  identity: () => DelegateIdentity;
}

/** What the tasks have in common with whoever takes them in. */
export interface TaskLivesParts {
  readonly table: TaskTable;
  readonly leases: Leases;
  readonly words: SpokenWords;
  readonly records: TaskRecords;
  readonly outbox: Outbox;
  /** The connection that there is now. */
  readonly channel: () => Channel | undefined;
  /** Called when a task has left its slot. */
  readonly onSlotFree: () => void;
}

/** A task that was taken, and how it came. */
export interface TakenTask {
  readonly entry: TaskEntry;
  readonly prepared: PreparedTask;
  readonly timeoutMs: number;
  /** The connection that it came by. */
  readonly channel: Channel;
  /** The attempt before it, whose code may still run. */
  readonly replaces: TaskEntry | undefined;
}

/** The lives of the tasks that were taken, each from its record on the disk to its result in the outbox. */
export class TaskLives {
  readonly #options: TaskLivesOptions;
  readonly #parts: TaskLivesParts;
  readonly #lives = new Set<Promise<void>>();

  constructor(options: TaskLivesOptions, parts: TaskLivesParts) {
    this.#options = options;
    this.#parts = parts;
  }

  begin(task: TakenTask): void {
    const { ref } = task.entry;
    const life = this.#live(task)
      .catch((error: unknown) => this.#options.log.error({ ...ref, err: error }, 'a task was abandoned'))
      .finally(() => this.#lives.delete(life));
    this.#lives.add(life);
  }

  /** Resolves when no task runs and every result is recorded. */
  async ended(): Promise<void> {
    while (this.#lives.size > 0) await Promise.all(this.#lives);
  }

  /** The way of one task, in order: begin on disk, accept, work, result on disk, result on its way. */
  async #live({ entry, prepared, timeoutMs, channel, replaces }: TakenTask): Promise<void> {
    const { clock, identity } = this.#options;
    const { leases, records, table, words, outbox } = this.#parts;
    const receivedWall = clock.now();
    const deadline = clock.after(timeoutMs - (clock.monotonic() - entry.receivedAt), () =>
      entry.stop('deadline', `not ended within ${timeoutMs} ms`),
    );
    try {
      // Two attempts of one task never run side by side, here least of all.
      await replaces?.ended.promise;
      entry.isBlocked = false;
      if (entry.discarded || !(await this.#begin(entry, receivedWall, channel))) return;
      this.#move(entry, { at: 'accepted' });
      const accept = { type: 'task.accept', ...entry.ref } as const;
      // The delegate may have moved to another connection meanwhile.
      if (!channel.send(accept)) this.#parts.channel()?.send(accept);
      if (entry.effect === 'writes') leases.grant(entry.ref, clock.monotonic());

      const { outcome, startedAt } = await this.#work(entry, prepared, entry.receivedAt + timeoutMs);
      if (entry.discarded) return;
      const result = resultOf(entry, outcome, identity(), {
        receivedWall,
        receivedAt: entry.receivedAt,
        startedAt,
        finishedAt: clock.monotonic(),
      });
      await this.#tellEnd(entry, result);
      await records.keep(result);
      entry.trace.end({ outcome: result.outcome, ...errorCode(result) });
      if (entry.discarded) return;
      entry.finishedAt = clock.monotonic();
      this.#move(entry, { at: 'finished', result });
      words.settle(entry);
      outbox.put(result);
    } finally {
      entry.trace.end(undefined);
      deadline.cancel();
      leases.drop(entry.ref);
      table.release(entry);
      entry.ended.resolve();
      void this.#tellEnd(entry, undefined);
      if (entry.discarded) records.forget(entry.ref);
      this.#parts.onSlotFree();
    }
  }

  /** False if the task is not to go on: it was discarded meanwhile, or could not be recorded and is given back. */
  async #begin(entry: TaskEntry, receivedWall: number, channel: Channel): Promise<boolean> {
    const { log, identity, audit, metrics } = this.#options;
    const { records, table } = this.#parts;
    const { ref, name, effect, signature, taken } = entry;
    try {
      if (taken !== undefined) await audit.admit(taken);
      entry.isAudited = taken !== undefined;
      const receivedAt = toTimestamp(receivedWall);
      await records.journal.begin({ ref, name, effect, receivedAt, delegate: identity(), signature });
      return !entry.discarded;
    } catch (thrown) {
      log.error({ ...ref, ...wrap(thrown).toWire() }, 'the task is given back');
      table.giveBack(entry);
      const refusal = { code: 'outbox-full', message: CANNOT_RECORD } as const;
      channel.send({ type: 'task.reject', ...ref, ...refusal });
      entry.isAudited = false;
      metrics.taskRejected(refusal.code);
      void audit.record(refusedRecord({ ...ref, name }, refusal));
      return false;
    }
  }

  /** Once, however it ended. Comes before the result is kept: a result that was sent has its record. */
  async #tellEnd(entry: TaskEntry, result: TaskResult | undefined): Promise<void> {
    if (!entry.isAudited) return;
    entry.isAudited = false;
    const { audit, metrics, clock } = this.#options;
    metrics.taskEnded({ task: entry.name, ...endOf(result), times: result?.timing });
    await audit.record(endedRecord(entry, result, clock.monotonic()));
  }

  /** `startedAt` is monotonic; undefined if the work never began. */
  async #work(
    entry: TaskEntry,
    prepared: PreparedTask,
    deadline: number,
  ): Promise<{ outcome: Outcome; startedAt: number | undefined }> {
    const { clock, log, redactor } = this.#options;
    const { leases, records, words, channel } = this.#parts;
    try {
      if (entry.effect === 'writes') {
        await untilAborted(entry.acknowledged.promise, entry.signal);
        // From here on a crash leaves the question whether anything was written.
        await records.journal.start(entry.ref, toTimestamp(clock.now()));
      }
      entry.signal.throwIfAborted();
    } catch (thrown) {
      return { outcome: outcomeOfUnstarted(thrown, entry.stopReason), startedAt: undefined };
    }
    this.#move(entry, { at: 'running' });
    const startedAt = clock.monotonic();
    const said = words.of(entry.ref);
    const context = contextOf(entry, deadline, {
      clock,
      log,
      leases,
      send: (progress) => void channel()?.send(progress),
      scrub: (text) => redactor.scrub(text, said),
    });
    const outcome = await run(prepared, context, {
      effect: entry.effect,
      stopReason: () => entry.stopReason,
      redactor,
      ...(said === undefined ? {} : { said }),
    });
    return { outcome, startedAt };
  }

  #move(entry: TaskEntry, state: TaskState): void {
    const { log } = this.#options;
    const step = { ...entry.ref, task: entry.name, from: entry.state.at, to: state.at };
    // One line for a task in the usual log; that it was taken is in the audit log.
    if (state.at === 'finished') {
      const { outcome, timing } = state.result;
      log.info({ ...step, outcome, ...errorCode(state.result), runMs: timing.runMs }, 'task');
    } else log.debug(step, 'task');
    entry.state = state;
  }
}
