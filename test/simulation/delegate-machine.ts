import { pino } from 'pino';
import { noAuditLog } from '../../src/observability/audit/trail.ts';
import { noMetrics } from '../../src/observability/metrics.ts';
import { tracingOff } from '../../src/observability/tracing/tracer.ts';
import { runConnectionLoop } from '../../src/delegate/connection/connection-loop.ts';
import type { Journal, Recovered } from '../../src/delegate/journal/journal.ts';
import { openJournal } from '../../src/delegate/journal/file-journal.ts';
import { Session } from '../../src/delegate/connection/session.ts';
import { UPGRADE_WITHIN_MS, type Transport } from '../../src/delegate/connection/transport.ts';
import { FLUSH_WITHIN_MS } from '../../src/delegate/last-work.ts';
import { Workload } from '../../src/delegate/tasks/workload.ts';
import type { TaskType } from '../../src/connectors/connector.ts';
import { DelegateError, wrap } from '../../src/kit/errors.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { endsWithin } from '../../src/kit/time.ts';
import type { Logger } from '../../src/observability/logger.ts';
import type { DelegateIdentity, Hello } from '../../src/protocol/messages.ts';
import type { Random } from '../support/random.ts';
import type { Crash, SimulatedDisk } from './disk.ts';
import type { History } from './history.ts';
import { simulatedTasks, type Ledger } from './ledger.ts';
import type { Network } from './network.ts';
import { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';
import { ROOMY } from '../support/outbox-limits.ts';

const STATE_KEY = Buffer.alloc(32, 7);
/** What a machine with a delegate stands in. */
export interface Surroundings {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly history: History;
  readonly network: Network;
  readonly disk: SimulatedDisk;
  readonly ledger: Ledger;
  /** Called when a delegate ends, or speaks, as it never should. */
  readonly broken: (what: string) => void;
}

/** A machine with a disk, on which a delegate is started, killed, and started again. */
export class DelegateMachine {
  readonly identity: DelegateIdentity;
  readonly capacity: number;
  readonly disk: SimulatedDisk;
  readonly #surroundings: Surroundings;
  #runs = 0;
  #run: DelegateRun | undefined;

  constructor(identity: DelegateIdentity, capacity: number, surroundings: Surroundings) {
    this.identity = identity;
    this.capacity = capacity;
    this.disk = surroundings.disk;
    this.#surroundings = surroundings;
  }

  get run(): DelegateRun | undefined {
    return this.#run;
  }

  /** Does nothing while a delegate runs. */
  start(): void {
    if (this.#run !== undefined) return;
    this.#runs += 1;
    const process = new SimulatedProcess(`${this.identity.name}.${this.#runs}`, this.#surroundings.time);
    this.#surroundings.history.note(process.name, 'starts');
    this.#run = new DelegateRun(this, process, this.#surroundings);
  }

  kill(crash: Crash): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#surroundings.history.note(
      run.process.name,
      `${crash.is}${crash.flipsByte ? ', a byte flips' : ''}`,
    );
    const { frozenUntil } = run.process;
    run.process.kill();
    this.#surroundings.network.delegateKilled(this.identity.id, crash.is === 'power-cut');
    this.disk.crash(crash, frozenUntil);
  }

  /** In order, as on SIGTERM. Resolves when the process has ended, or at once if another end came first. */
  async stop(graceMs: number): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    this.#surroundings.history.note(run.process.name, 'is asked to stop');
    await run.stop(graceMs);
    if (this.#run !== run) return;
    this.#run = undefined;
    this.#surroundings.history.note(run.process.name, 'has stopped');
    const { frozenUntil } = run.process;
    run.process.kill();
    this.disk.crash({ is: 'killed', flipsByte: false }, frozenUntil);
  }

  /** What a delegate that starts now would find on the disk. */
  readonly look = async (): Promise<Recovered> => {
    const process = new SimulatedProcess(`${this.identity.name}.look`, this.#surroundings.time);
    const log = pino({ level: 'silent' });
    const folder = this.disk.folderOf(process);
    const journal = await openJournal({ folder, key: STATE_KEY, clock: process.clock, log });
    const found = journal.recover();
    await journal[Symbol.asyncDispose]();
    return found;
  };
}

/** One process of a delegate: the same parts as in the product, around a fence. */
class DelegateRun {
  readonly process: SimulatedProcess;
  readonly workload: Workload;
  readonly #machine: DelegateMachine;
  readonly #surroundings: Surroundings;
  readonly #log: Logger;
  readonly #taskTypes: readonly TaskType[];
  readonly #end = new AbortController();
  readonly #ended: Promise<void>;
  #session: Session | undefined;
  #journal: Journal | undefined;
  #draining = false;

  constructor(machine: DelegateMachine, process: SimulatedProcess, surroundings: Surroundings) {
    this.#machine = machine;
    this.process = process;
    this.#surroundings = surroundings;
    this.#log = this.#createLog();
    this.#taskTypes = simulatedTasks(process, surroundings.ledger);
    this.workload = new Workload({
      taskTypes: this.#taskTypes,
      capacity: machine.capacity,
      outboxLimits: ROOMY,
      clock: process.clock,
      log: this.#log,
      audit: noAuditLog(),
      metrics: noMetrics,
      tracer: tracingOff,
      redactor: new Redactor(),
      identity: () => machine.identity,
      signatureRules: () => Promise.resolve({ keys: [], required: false, delegateId: machine.identity.id }),
    });
    this.workload.onSlotFree = () => this.#session?.raiseCredit();
    this.#ended = this.#live();
  }

  /** It holds no task and no result. */
  get isIdle(): boolean {
    const { workload } = this;
    return workload.waitingFor().length === 0 && workload.outbox.size === 0;
  }

  async stop(graceMs: number): Promise<void> {
    const { workload, process } = this;
    this.#draining = true;
    workload.drain();
    this.#session?.announceDraining('the simulation asks for it');
    const { clock } = process;
    await endsWithin(clock, graceMs, workload.idle());
    workload.stopAll('shutdown', 'the delegate stops');
    await endsWithin(clock, FLUSH_WITHIN_MS, workload.idle());
    await endsWithin(clock, FLUSH_WITHIN_MS, workload.outbox.emptied());
    this.#end.abort(new Error('the delegate stops'));
    await this.#session?.leave('the delegate stops');
    await this.#ended;
    await this.#journal?.[Symbol.asyncDispose]();
  }

  async #live(): Promise<void> {
    const { process } = this;
    const { broken, random } = this.#surroundings;
    try {
      const folder = this.#machine.disk.folderOf(process);
      const journal = await openJournal({ folder, key: STATE_KEY, clock: process.clock, log: this.#log });
      this.#journal = journal;
      await this.workload.recover(journal);
      this.#end.signal.throwIfAborted();
      await runConnectionLoop(
        {
          open: (signal) => this.#open(signal),
          onNotAuthenticated: () => broken(`${process.name} was not authenticated`),
          onRevoked: () => broken(`${process.name} was revoked`),
          onFailure: () => {},
          onWait: () => {},
          onSession: (session) => {
            this.#session = session;
            if (this.#draining) session?.announceDraining('the simulation asks for it');
          },
          clock: process.clock,
          random: () => random.random(),
          log: this.#log,
        },
        this.#end.signal,
      );
    } catch (thrown) {
      if (this.#end.signal.aborted) return;
      broken(`${process.name} ended by itself: ${wrap(thrown).code}: ${String(thrown)}`);
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    const { workload, process } = this;
    return await Session.open({
      transport: await this.#dial(signal),
      workload,
      clock: process.clock,
      log: this.#log,
      metrics: noMetrics,
      signal,
      hello: () => this.#hello(),
      taskSigningKeys: () => Promise.resolve(),
      load: () => ({ running: workload.running().length, queued: 0, eventLoopDelayMs: 0, rssBytes: 1 }),
    });
  }

  async #dial(signal: AbortSignal): Promise<Transport> {
    const { clock } = this.process;
    const end = this.#surroundings.network.dial(this.#machine.identity.id, this.process);
    const giveUp = (): void => end.terminate();
    const overdue = clock.after(UPGRADE_WITHIN_MS, giveUp);
    signal.addEventListener('abort', giveUp, { once: true });
    const upgraded = await end.upgraded;
    overdue.cancel();
    signal.removeEventListener('abort', giveUp);
    signal.throwIfAborted();
    if (upgraded) return end;
    throw new DelegateError('manager-unreachable', 'The manager cannot be reached.', {
      category: 'unavailable',
      retryable: true,
    });
  }

  #hello(): Hello {
    const { workload } = this;
    return {
      type: 'hello',
      delegate: this.#machine.identity,
      tags: [],
      tasks: this.#taskTypes.map(({ name, version, effect }) => ({ name, version, effect })),
      capabilities: [],
      capacity: this.#machine.capacity,
      running: workload.running(),
      unacknowledged: workload.outbox.refs(),
      policyHash: null,
    };
  }

  #createLog(): Logger {
    const err = (error: unknown): string => {
      const { code, message } = wrap(error);
      return `${code}: ${message} ${error instanceof Error ? error.message : ''}`;
    };
    return pino(
      { base: null, timestamp: false, level: 'info', serializers: { err } },
      { write: (line: string) => this.#onLog(line.trimEnd()) },
    );
  }

  #onLog(line: string): void {
    const { process } = this;
    const { history, broken } = this.#surroundings;
    history.note(process.name, line);
    // A disk that fails is complained of; and to a process that was frozen every disk looks as if it had stalled.
    const mayComplain = this.#machine.disk.hasAiled || process.wasFrozen;
    if (line.startsWith('{"level":50') && !mayComplain) broken(`${process.name} logs: ${line}`);
    const holding = this.workload.waitingFor().length;
    const { capacity } = this.#machine;
    if (holding > capacity) broken(`${process.name} holds ${holding} tasks, and has room for ${capacity}`);
  }
}
