import { once, setMaxListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { sleep, type Clock } from '../../src/kit/time.ts';
import { fastClock, type TimeLapse } from '../support/fast-clock.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { seededRandom } from '../support/random.ts';
import { within } from '../support/until.ts';
import { CompiledProcesses } from './compile.ts';
import { Gateway } from './gateway.ts';
import { SupervisedProcess } from './supervised.ts';
import { Line } from './line.ts';
import { ManagerRole, type Hello } from './manager-role.ts';
import {
  orders,
  type FromDelegateProcess,
  type FromManagerProcess,
  type ToDelegateProcess,
  type ToManagerProcess,
} from './orders.ts';
import { MAX_DELEGATES, type DelegatePlan, type Fault, type Plan } from './plan.ts';
import { ProcessPool } from './worker.ts';

/** Real time for a world to begin. */
const START_WITHIN_MS = 20_000;
/** The world's time in which every delegate is back once nothing is wrong: the longest back-off and a slow dial. */
const BACK_WITHIN_MS = 120_000;
/** The world's time in which every task has ended after that: its time limit, a lease, a wait in the queue. */
const ENDED_WITHIN_MS = 900_000;
/** Real time on top of either, for a machine that is busy with something else. */
const SLACK_MS = 5_000;
/** What a manager that leaves gives its delegates for their move, of the world's time. */
const DRAIN_MS = 3_000;
/** Restarts after which a delegate must have nothing left to tell. */
const MAX_QUIET_ROUNDS = 3;

/** Loaded processes, for one world after the other. */
export class ProcessPools implements AsyncDisposable {
  readonly managers: ProcessPool<ToManagerProcess, FromManagerProcess>;
  readonly delegates: ProcessPool<ToDelegateProcess, FromDelegateProcess>;

  readonly #compiled: CompiledProcesses;

  private constructor(compiled: CompiledProcesses) {
    this.#compiled = compiled;
    this.managers = new ProcessPool(compiled.entry('manager'), orders.fromManager, 1);
    this.delegates = new ProcessPool(compiled.entry('delegate'), orders.fromDelegate, MAX_DELEGATES);
  }

  static async start(): Promise<ProcessPools> {
    return new ProcessPools(await CompiledProcesses.make());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.managers[Symbol.asyncDispose](), this.delegates[Symbol.asyncDispose]()]);
    await this.#compiled[Symbol.asyncDispose]();
  }
}

interface DelegateRole {
  readonly process: SupervisedProcess<ToDelegateProcess, FromDelegateProcess>;
  readonly line: Line;
}

/** The files of one world, in a folder of its caller's, who may look at them afterwards. */
interface WorldPaths {
  readonly chronicle: string;
  readonly ledger: string;
  readonly stateDir: (name: string) => string;
  readonly log: (name: string) => string;
}

export function worldPaths(folder: string): WorldPaths {
  return {
    chronicle: join(folder, 'chronicle.jsonl'),
    ledger: join(folder, 'ledger.txt'),
    stateDir: (name) => join(folder, name),
    log: (name) => join(folder, `${name}.log`),
  };
}

/** One manager and its delegates, each a process of its own, with lines between them that can be disturbed. */
export class World implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #lapse: TimeLapse;
  readonly #clock: Clock;
  readonly #gateway: Gateway;
  readonly #manager: ManagerRole;
  readonly #delegates = new Map<string, DelegateRole>();
  readonly #end = new AbortController();

  private constructor(plan: Plan, lapse: TimeLapse, gateway: Gateway, manager: ManagerRole) {
    this.#plan = plan;
    this.#lapse = lapse;
    this.#clock = fastClock(lapse);
    this.#gateway = gateway;
    this.#manager = manager;
    // Each task and each fault sleeps until its time has come.
    setMaxListeners(0, this.#end.signal);
  }

  /** Everybody is enrolled, and connected along a line of its own, when it resolves. */
  static async start(plan: Plan, folder: string, pools: ProcessPools, factor: number): Promise<World> {
    const paths = worldPaths(folder);
    await writeFile(paths.ledger, '');
    const port = await freePort();
    const gateway = await Gateway.start(port);
    const lapse = { factor, epochMs: Date.now() };
    const { url: publicUrl } = gateway;
    const manager = new ManagerRole(pools.managers, {
      order: 'start',
      port,
      publicUrl,
      chroniclePath: paths.chronicle,
      lapse,
    });
    const world = new World(plan, lapse, gateway, manager);
    try {
      await within('the world to begin', world.#begin(paths, pools, port), START_WITHIN_MS);
      return world;
    } catch (thrown) {
      await world[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Rejects when a process ends that nobody has ended; never resolves. */
  get trouble(): Promise<never> {
    const { process } = this.#manager;
    return Promise.race([process.trouble, ...this.#roles().map((role) => role.process.trouble)]);
  }

  /** Resolves when the plan is carried out; everybody runs then. */
  async live(): Promise<void> {
    const startedAt = this.#clock.monotonic();
    const at = (ms: number): Promise<void> => this.#sleep(startedAt + ms - this.#clock.monotonic());
    // Faults of one thing come one after the other: one that takes longer than planned puts off the next.
    const timeline = async (isOnIt: (fault: Fault) => boolean): Promise<void> => {
      for (const fault of this.#plan.faults.filter(isOnIt)) {
        await at(fault.atMs);
        await this.#inject(fault);
      }
    };
    await Promise.all([
      timeline(({ on }) => on === 'manager'),
      ...this.#plan.delegates.flatMap(({ name }) => [
        timeline((fault) => fault.on === name && !('toward' in fault)),
        timeline((fault) => fault.on === name && 'toward' in fault),
      ]),
      ...this.#plan.tasks.map(async (task) => {
        await at(task.atMs);
        this.#manager.submit(task);
        if (task.cancelAtMs === undefined) return;
        await at(task.cancelAtMs);
        this.#manager.process.order({ order: 'cancel', key: task.key });
      }),
    ]);
  }

  /** Nothing is wrong from now on. Rejects if that does not bring everybody back, every task to its end, and quiet. */
  async heal(): Promise<void> {
    for (const { line } of this.#roles()) line.heal();
    const names = this.#plan.delegates.map(({ name }) => name);
    await this.#soon('every delegate to be back', this.#manager.connected(names), BACK_WITHIN_MS);
    const keys = this.#plan.tasks.map(({ key }) => key);
    await this.#soon('the end of every task', this.#manager.allEnded(keys), ENDED_WITHIN_MS);
    await Promise.all(names.map((name) => this.#quieten(name)));
  }

  /** Ends everything that it has started, however far it has come. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the world ends'));
    const processes = [this.#manager.process, ...this.#roles().map(({ process }) => process)];
    await Promise.all(processes.map((process) => process.kill()));
    await this.#gateway[Symbol.asyncDispose]();
    await Promise.all(this.#roles().map(({ line }) => line[Symbol.asyncDispose]()));
  }

  async #begin(paths: WorldPaths, pools: ProcessPools, managerPort: number): Promise<void> {
    const random = seededRandom(this.#plan.seed);
    await this.#manager.process.start();
    await Promise.all(
      this.#plan.delegates.map(async (delegate) => {
        const { name } = delegate;
        const line = await Line.start(managerPort, random.fork(), this.#plan.mischief);
        const token = await this.#manager.enrolmentToken(name);
        const order = this.#startOrder(delegate, paths, token);
        const process = new SupervisedProcess(name, pools.delegates, order);
        this.#delegates.set(name, { process, line });
        const hello = this.#manager.hello(name);
        await process.start();
        // Only now is it known by which name its connect tokens go.
        this.#gateway.lines.set((await hello).delegateId, line.port);
      }),
    );
    const again = this.#plan.delegates.map(({ name }) => this.#manager.hello(name));
    this.#gateway.cutAll();
    await Promise.all(again);
  }

  #startOrder({ name, capacity }: DelegatePlan, paths: WorldPaths, token: string): ToDelegateProcess {
    return {
      order: 'start',
      environment: {
        DELEGATE_MANAGER_URL: this.#gateway.url,
        DELEGATE_ENROLMENT_TOKEN: token,
        DELEGATE_NAME: name,
        DELEGATE_STATE_DIR: paths.stateDir(name),
        DELEGATE_CAPACITY: String(capacity),
        DELEGATE_HTTP_PORT: '0',
      },
      ledgerPath: paths.ledger,
      logPath: paths.log(name),
      lapse: this.#lapse,
    };
  }

  async #inject(fault: Fault): Promise<void> {
    const { on, what, forMs } = fault;
    if (on === 'manager') return await this.#injectIntoManager(what, forMs);
    const { process, line } = this.#role(on);
    if ('toward' in fault) {
      line.disturb(fault.what, fault.toward);
      await this.#sleep(forMs);
      return line.mend();
    }
    if (what === 'freeze') return await this.#freeze(process, forMs);
    if (what === 'kill') await process.kill();
    else await process.leave((worker) => worker.kill('SIGTERM'));
    await this.#sleep(forMs);
    await process.start();
  }

  async #injectIntoManager(what: Fault['what'], forMs: number): Promise<void> {
    const { process } = this.#manager;
    if (what === 'freeze') return await this.#freeze(process, forMs);
    if (what === 'kill') await process.kill();
    else {
      process.order({ order: 'drain', reconnectAfterMs: DRAIN_MS });
      await this.#sleep(2 * DRAIN_MS);
      await process.leave((worker) => worker.order({ order: 'close' }));
    }
    await this.#sleep(forMs);
    await process.start();
  }

  async #freeze(process: { freeze(): void; thaw(): void }, forMs: number): Promise<void> {
    process.freeze();
    try {
      await this.#sleep(forMs);
    } finally {
      process.thaw();
    }
  }

  /** Restarts a delegate until it has nothing left to tell: neither memory nor disk holds a task any more. */
  async #quieten(name: string): Promise<void> {
    const { process } = this.#role(name);
    let hello: Hello | undefined;
    for (let round = 0; round < MAX_QUIET_ROUNDS; round += 1) {
      await process.leave((worker) => worker.kill('SIGTERM'));
      const next = this.#manager.hello(name);
      await process.start();
      hello = await this.#soon(`${name} to be back`, next, BACK_WITHIN_MS);
      if (hello.running + hello.unacknowledged === 0) return;
    }
    throw new Error(`${name} does not come to rest: ${JSON.stringify(hello)}`);
  }

  #sleep(ms: number): Promise<void> {
    return sleep(this.#clock, Math.max(0, ms), this.#end.signal);
  }

  async #soon<T>(what: string, work: Promise<T>, worldMs: number): Promise<T> {
    return await within(what, work, worldMs / this.#lapse.factor + SLACK_MS);
  }

  #roles(): DelegateRole[] {
    return [...this.#delegates.values()];
  }

  #role(name: string): DelegateRole {
    const role = this.#delegates.get(name);
    if (role === undefined) throw new Error(`the plan names ${name}, who is not in it`);
    return role;
  }
}

/** The manager needs the same one again after a restart. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenOnLoopback(server);
  const closed = once(server, 'close');
  server.close();
  await closed;
  return port;
}
