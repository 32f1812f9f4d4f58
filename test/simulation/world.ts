import { RECONNECT_CAP_MS } from '../../src/protocol/limits.ts';
import { keyOf } from '../../src/protocol/messages.ts';
import type { TaskRecord } from '../../src/manager/store.ts';
import { seededRandom, type Random } from '../support/random.ts';
import { DelegateMachine } from './delegate-machine.ts';
import { SimulatedDisk } from './disk.ts';
import { History } from './history.ts';
import { Ledger, workSchema } from './ledger.ts';
import { HEARTBEAT_MS, ManagerMachine } from './manager-machine.ts';
import { Mischief } from './mischief.ts';
import { Mishaps } from './mishaps.ts';
import { Network } from './network.ts';
import { Oracle, type Violation } from './oracle.ts';
import { makePlan, type Plan, type PlannedTask } from './plan.ts';
import { SimulatedTime } from './time.ts';

const VERSION = '26.11.90100';
/** How often the world is looked at from outside. */
const LOOK_EVERY_MS = 1_000;
/** A caller who finds no manager tries again. */
const SUBMIT_AGAIN_MS = 500;
/** The longest grace, and the flushes after it. */
const STOPPED_WITHIN_MS = 40_000;
/** A dead connection is found out after two heartbeats; the longest wait follows, and one dial. */
const RECONNECT_WITHIN_MS = 2 * HEARTBEAT_MS + RECONNECT_CAP_MS + 5_000;
/** The longest task, then its lease, and then as long as anybody waits for its holder, a few times over. */
const QUIET_WITHIN_MS = 900_000;
/** From the last task's end until nothing is to be left of it: the longest anybody is left alone with a task. */
const COOL_DOWN_MS = 60_000;
/** Beside the next heartbeat, the end of patience with an unanswered one. */
const TIMERS_OF_AN_IDLE_DELEGATE = 2;
/** The segment in use, and those that were damaged, kept for people. */
const MAX_JOURNAL_FILES = 1 + 8;

interface SimulationOptions {
  readonly seed: number;
  readonly tasks: number;
  /** Sees every line of the history as it is written. */
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface Simulation {
  readonly seed: number;
  readonly plan: Plan;
  readonly history: History;
  /** Empty if all went as it must; the simulation ends soon after the first. */
  readonly violations: readonly Violation[];
  /** How many tasks ended with each outcome. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Simulated. */
  readonly durationMs: number;
}

/** Lives through one world: the same seed and number of tasks give the same history, to the letter. */
export async function simulate(options: SimulationOptions): Promise<Simulation> {
  const world = new World(options);
  return await world.live();
}

class World {
  readonly #seed: number;
  readonly #time = new SimulatedTime();
  readonly #history = new History(this.#time);
  readonly #plan: Plan;
  readonly #ledger: Ledger;
  readonly #oracle: Oracle;
  readonly #network: Network;
  readonly #manager: ManagerMachine;
  readonly #delegates: DelegateMachine[];
  readonly #mishaps: Mishaps;
  readonly #taskIds = new Map<string, string>();

  constructor({ seed, tasks, onLine }: SimulationOptions) {
    this.#seed = seed;
    if (onLine !== undefined) this.#history.onLine = onLine;
    // A stream for each part, so that one part's draws do not depend on how often another draws.
    const random = seededRandom(seed);
    const time = this.#time;
    this.#plan = makePlan(random.fork(), tasks);
    this.#ledger = new Ledger(time, random.fork());
    this.#oracle = new Oracle({
      time,
      history: this.#history,
      ledger: this.#ledger,
      task: (taskId) => this.#manager.task(taskId),
      mayHaveLost: (delegateId) =>
        this.#delegates.some(({ identity, disk }) => identity.id === delegateId && disk.mayHaveLost),
    });
    this.#manager = new ManagerMachine({
      time,
      random: random.fork(),
      history: this.#history,
      onTask: (task) => this.#onTask(task),
      broken: this.#oracle.broken,
    });
    const mischiefRandom = random.fork();
    this.#network = new Network({
      time,
      random: random.fork(),
      mischief: () => new Mischief(time, mischiefRandom, this.#plan.mischiefRate),
      // When all is healed, connections are sound, too.
      flakyDialRate: () => (this.#mishaps.healed ? 0 : this.#plan.flakyDialRate),
      manager: {
        process: () => this.#manager.process,
        accept: (delegateId, end) => this.#manager.accept(delegateId, end),
      },
      tap: (delegateId, processName) => this.#oracle.tap(delegateId, processName),
    });
    this.#manager.onKilled = () => this.#network.managerKilled();
    this.#delegates = this.#plan.delegates.map(({ capacity }, index) =>
      this.#makeDelegate(index, capacity, random.fork()),
    );
    this.#mishaps = new Mishaps({
      time,
      history: this.#history,
      network: this.#network,
      manager: this.#manager,
      delegates: this.#delegates,
    });
  }

  async live(): Promise<Simulation> {
    const { tasks, faults, healAtMs } = this.#plan;
    this.#manager.start();
    for (const delegate of this.#delegates) delegate.start();
    for (const task of tasks) {
      this.#time.after(task.atMs, () => this.#submit(task));
      if (task.cancelAtMs !== undefined) this.#time.after(task.cancelAtMs, () => this.#cancel(task));
    }
    for (const { atMs, fault } of faults) this.#time.after(atMs, () => this.#mishaps.inject(fault));

    await this.#goOn(healAtMs);
    this.#mishaps.heal();
    // Each builds on the one before: after a violation the others would only complain of its consequences.
    for (const check of [
      () => this.#checkReconnected(),
      () => this.#checkEnded(),
      () => this.#checkQuiet(),
      () => this.#checkLeft(),
    ]) {
      if (!this.#isBroken) await check();
    }
    this.#end();
    return {
      seed: this.#seed,
      plan: this.#plan,
      history: this.#history,
      violations: this.#oracle.violations,
      outcomes: countOutcomes(this.#manager.tasks()),
      durationMs: this.#time.monotonic(),
    };
  }

  // --- what happens -------------------------------------------------------------------------------------------

  #submit(task: PlannedTask): void {
    const { name, work, timeoutMs } = task;
    const submitted = this.#manager.submit({
      name,
      version: 1,
      input: { ...work },
      selectors: [],
      timeoutMs,
    });
    if (!submitted) this.#time.after(SUBMIT_AGAIN_MS, () => this.#submit(task));
  }

  #cancel({ label }: PlannedTask): void {
    const taskId = this.#taskIds.get(label);
    if (taskId === undefined) return;
    this.#history.note('caller', `cancels ${label}`);
    this.#manager.cancel(taskId, 'nobody wants it any more');
  }

  #onTask(task: TaskRecord): void {
    const { task: label } = workSchema.parse(task.input);
    this.#taskIds.set(label, task.taskId);
    this.#history.call(task.taskId, label);
    this.#oracle.taskChanged(task);
  }

  // --- what must come of it -----------------------------------------------------------------------------------

  async #checkReconnected(): Promise<void> {
    await this.#must(STOPPED_WITHIN_MS, () =>
      this.#mishaps.stopping === 0 ? undefined : 'a delegate did not stop',
    );
    await this.#must(RECONNECT_WITHIN_MS, () => {
      const away = this.#delegates.filter(({ identity }) => !this.#manager.hasSession(identity.id));
      return complaint('not connected, though all was healed', away.map(nameOf));
    });
  }

  async #checkEnded(): Promise<void> {
    await this.#must(QUIET_WITHIN_MS, () => {
      const missing = this.#plan.tasks.filter(({ label }) => !this.#taskIds.has(label));
      return complaint('not submitted', missing.map(labelOf));
    });
    await this.#must(QUIET_WITHIN_MS, () => {
      const open = this.#manager.tasks().filter(({ state }) => state.at !== 'ended');
      const names = open.map(({ taskId, state }) => `${taskId} (${state.at})`);
      return complaint('not ended', names);
    });
    await this.#must(QUIET_WITHIN_MS, () => {
      const busy = this.#delegates.filter(({ run }) => run !== undefined && !run.isIdle);
      return complaint('not done with its work', busy.map(nameOf));
    });
  }

  async #checkQuiet(): Promise<void> {
    await this.#goOn(COOL_DOWN_MS);
    this.#oracle.compareWithLedger(this.#manager.tasks());
    this.#oracle.checkNoneForgotten();
    await this.#must(0, () => {
      const restless = this.#delegates.filter(
        ({ run }) => (run?.process.timers ?? 0) > TIMERS_OF_AN_IDLE_DELEGATE,
      );
      return complaint('idle, with more timers than it needs', restless.map(nameOf));
    });
    await this.#must(0, () => {
      const timers = this.#manager.process?.timers ?? 0;
      return timers > this.#delegates.length ? `the manager is idle, with ${timers} timers` : undefined;
    });
  }

  /** Everybody leaves in order. Then nothing may be left: on disk, or of the world's own alarms. */
  async #checkLeft(): Promise<void> {
    const leaving = new Set(this.#delegates);
    for (const machine of this.#delegates) void machine.stop(0).then(() => leaving.delete(machine));
    await this.#must(STOPPED_WITHIN_MS, () => complaint('not stopped', [...leaving].map(nameOf)));

    const unread = new Set(this.#delegates);
    for (const machine of this.#delegates) {
      void this.#lookAtJournal(machine).then(() => unread.delete(machine));
    }
    await this.#must(STOPPED_WITHIN_MS, () =>
      complaint('its journal does not open', [...unread].map(nameOf)),
    );

    let closed = false;
    void this.#manager.close().then(() => (closed = true));
    await this.#must(STOPPED_WITHIN_MS, () => (closed ? undefined : 'the manager did not close'));
    // What is still on its way, or held back, arrives at nobody.
    await this.#goOn(COOL_DOWN_MS);
    const { pending } = this.#time;
    await this.#must(0, () => (pending > 0 ? `${pending} alarms are left` : undefined));
  }

  async #lookAtJournal({ identity: { name }, disk, look }: DelegateMachine): Promise<void> {
    const { begun, finished } = await look();
    const alive = [...begun.map(({ ref }) => ref), ...finished];
    for (const ref of alive) {
      this.#oracle.broken(
        `the journal of ${name} still holds ${keyOf(ref)}`,
        this.#history.plain(ref.taskId),
      );
    }
    if (disk.fileCount > MAX_JOURNAL_FILES) {
      this.#oracle.broken(`the journal of ${name} has ${disk.fileCount} files`);
    }
  }

  /** Whatever went wrong: no real timer of this world is left behind. */
  #end(): void {
    this.#manager.kill();
    for (const machine of this.#delegates) machine.kill({ is: 'killed', flipsByte: false });
  }

  // --- the clockwork ------------------------------------------------------------------------------------------

  get #isBroken(): boolean {
    return this.#oracle.violations.length > 0;
  }

  /** Waits for as long as somebody has something to complain of; for longer than that it is a violation. */
  async #must(withinMs: number, complain: () => string | undefined): Promise<void> {
    await this.#goOn(withinMs, () => complain() === undefined);
    const what = complain();
    if (what !== undefined && !this.#isBroken) this.#oracle.broken(what);
  }

  /** Lets time go by, at most so much: until the condition holds, or something has gone wrong. */
  async #goOn(atMostMs: number, until: () => boolean = () => false): Promise<void> {
    const end = this.#time.monotonic() + atMostMs;
    while (!this.#isBroken && !until() && this.#time.monotonic() < end) {
      await this.#time.advance(Math.min(LOOK_EVERY_MS, end - this.#time.monotonic()));
    }
  }

  #makeDelegate(index: number, capacity: number, random: Random): DelegateMachine {
    const name = `d${index + 1}`;
    const instanceId = `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`;
    const identity = { id: `dlg-${name}`, name, instanceId, version: VERSION };
    this.#history.call(instanceId, `${name}-instance`);
    this.#manager.know(identity);
    return new DelegateMachine(identity, capacity, {
      time: this.#time,
      random,
      history: this.#history,
      network: this.#network,
      disk: new SimulatedDisk(this.#time, random.fork()),
      ledger: this.#ledger,
      broken: this.#oracle.broken,
    });
  }
}

function nameOf({ identity: { name } }: DelegateMachine): string {
  return name;
}

function labelOf({ label }: PlannedTask): string {
  return label;
}

/** Undefined if there is nobody to complain of. */
function complaint(what: string, whom: readonly string[]): string | undefined {
  return whom.length === 0 ? undefined : `${whom.join(', ')}: ${what}`;
}

function countOutcomes(tasks: readonly TaskRecord[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { state } of tasks) {
    const outcome = state.at === 'ended' ? state.outcome : state.at;
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}
