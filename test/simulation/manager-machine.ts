import { resolveOptions, type ManagerLog } from '../../src/manager/options.ts';
import { Scheduler, type TaskRequest } from '../../src/manager/scheduler.ts';
import { SessionTable } from '../../src/manager/session-table.ts';
import { createMemoryStore, type DelegateRecord, type TaskRecord } from '../../src/manager/store.ts';
import type { DelegateIdentity } from '../../src/protocol/messages.ts';
import type { Random } from '../support/random.ts';
import { asWebSocket, type ManagerEnd } from './connection.ts';
import type { History } from './history.ts';
import { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';

export const HEARTBEAT_MS = 10_000;
export const LEASE_MS = 30_000;
/** Small, so that results which are too large need not be large. */
export const MAX_FRAME_BYTES = 16_384;

interface ManagerSurroundings {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly history: History;
  /** Every change of a task, as the store has it. */
  readonly onTask: (task: TaskRecord) => void;
  readonly broken: (what: string) => void;
}

/** A machine with a store, on which a manager is started, killed, and started again. */
export class ManagerMachine {
  readonly #surroundings: ManagerSurroundings;
  readonly #store = createMemoryStore();
  #runs = 0;
  #run: { process: SimulatedProcess; scheduler: Scheduler; sessions: SessionTable } | undefined;
  /** Called when a process ended without notice. */
  onKilled: () => void = () => {};

  constructor(surroundings: ManagerSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Undefined while no manager runs. */
  get process(): SimulatedProcess | undefined {
    return this.#run?.process;
  }

  get sessions(): SessionTable | undefined {
    return this.#run?.sessions;
  }

  hasSession(delegateId: string): boolean {
    return this.#run?.sessions.of(delegateId) !== undefined;
  }

  /** As if it had enrolled. */
  know(identity: DelegateIdentity): void {
    const { id, name, instanceId, version } = identity;
    const record: DelegateRecord = {
      delegateId: id,
      name,
      instanceId,
      version,
      publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) },
      thumbprint: id,
      enrolledAt: new Date(this.#surroundings.time.now()).toISOString(),
      lastSeenAt: null,
      revokedAt: null,
    };
    this.#store.delegates.put(id, record);
  }

  /** Does nothing while a manager runs. */
  start(): void {
    if (this.#run !== undefined) return;
    this.#runs += 1;
    const { time, random, history, onTask } = this.#surroundings;
    const process = new SimulatedProcess(`m.${this.#runs}`, time);
    history.note(process.name, 'starts');
    const settings = resolveOptions({
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
      maxFrameBytes: MAX_FRAME_BYTES,
      clock: process.clock,
      random: () => random.random(),
      store: this.#store,
      log: this.#createLog(process.name),
      onEvent: (event) => {
        if (event.type === 'task.changed') onTask(event.task);
      },
    });
    const scheduler = new Scheduler(settings, undefined);
    this.#run = { process, scheduler, sessions: new SessionTable(settings, scheduler) };
  }

  accept(delegateId: string, end: ManagerEnd): void {
    const record = this.#store.delegates.get(delegateId);
    if (record === undefined) throw new RangeError(`nobody knows ${delegateId}`);
    this.#run?.sessions.start(asWebSocket(end), record);
  }

  /** The store is what it is at this moment: its calls are synchronous. */
  kill(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    this.#surroundings.history.note(run.process.name, 'is killed');
    run.process.kill();
    this.onKilled();
  }

  /** In order. Resolves when every session has ended. */
  async close(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    run.scheduler.close();
    await run.sessions.closeAll('the manager is going away');
    this.#run = undefined;
    run.process.kill();
  }

  /** False while there is nobody to take it. */
  submit(request: TaskRequest): boolean {
    const run = this.#run;
    if (run === undefined || run.process.frozen) return false;
    run.scheduler.submit(request);
    return true;
  }

  cancel(taskId: string, reason: string): void {
    const run = this.#run;
    run?.process.enter(() => run.scheduler.cancel(taskId, reason));
  }

  task(taskId: string): TaskRecord | undefined {
    return this.#store.tasks.get(taskId);
  }

  tasks(): TaskRecord[] {
    return [...this.#store.tasks.values()];
  }

  #createLog(name: string): ManagerLog {
    const { history, broken } = this.#surroundings;
    const note = (fields: Record<string, unknown>, message: string): void => {
      history.note(name, `${message} ${JSON.stringify(fields)}`);
    };
    return {
      debug: () => {},
      info: note,
      warn: note,
      error(fields, message) {
        note(fields, message);
        broken(`${name} logs: ${message} ${String(fields['error'])}`);
      },
    };
  }
}
