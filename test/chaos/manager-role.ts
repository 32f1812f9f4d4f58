import { deferred, type Deferred } from '../../src/kit/flow.ts';
import { SupervisedProcess } from './supervised.ts';
import type { FromManagerProcess, ToManagerProcess } from './orders.ts';
import type { TaskPlan } from './plan.ts';
import type { ProcessPool } from './worker.ts';

export type Hello = Extract<FromManagerProcess, { said: 'hello' }>;
type StartOrder = Extract<ToManagerProcess, { order: 'start' }>;

/** The manager as the world sees it, through all of its lives: what it was asked for, and what it has told. */
export class ManagerRole {
  readonly process: SupervisedProcess<ToManagerProcess, FromManagerProcess>;
  /** Keys of the tasks that have ended. */
  readonly ended = new Set<string>();
  /** Names of the delegates that are connected. */
  #connected: readonly string[] = [];
  /** Submissions that no manager has confirmed; each new one is given them again. */
  readonly #unconfirmed = new Map<string, ToManagerProcess>();
  readonly #tokens = new Map<string, Deferred<string>>();
  readonly #waiters = new Set<Waiter>();

  constructor(pool: ProcessPool<ToManagerProcess, FromManagerProcess>, start: StartOrder) {
    this.process = new SupervisedProcess('manager', pool, start, (message) => this.#hear(message));
  }

  submit({ key, work, timeoutMs }: TaskPlan): void {
    const order: ToManagerProcess = { order: 'submit', key, work, timeoutMs };
    this.#unconfirmed.set(key, order);
    this.process.order(order);
  }

  async enrolmentToken(label: string): Promise<string> {
    const token = deferred<string>();
    this.#tokens.set(label, token);
    this.process.order({ order: 'enrolment-token', label });
    return await token.promise;
  }

  /** Resolves when all of these are connected at once. */
  async connected(names: readonly string[]): Promise<void> {
    await this.#until(() => names.every((name) => this.#connected.includes(name)));
  }

  async allEnded(keys: readonly string[]): Promise<void> {
    await this.#until(() => keys.every((key) => this.ended.has(key)));
  }

  /** The next opening of a session by this delegate. */
  async hello(name: string): Promise<Hello> {
    let heard: Hello | undefined;
    await this.#until((message) => {
      if (message?.said === 'hello' && message.name === name) heard = message;
      return heard !== undefined;
    });
    if (heard === undefined) throw new Error('it was heard');
    return heard;
  }

  #until(holds: (message: FromManagerProcess | undefined) => boolean): Promise<void> {
    if (holds(undefined)) return Promise.resolve();
    const waiter = { holds, met: deferred<void>() };
    this.#waiters.add(waiter);
    return waiter.met.promise;
  }

  #hear(message: FromManagerProcess): void {
    this.#take(message);
    for (const waiter of this.#waiters) {
      if (!waiter.holds(message)) continue;
      this.#waiters.delete(waiter);
      waiter.met.resolve();
    }
  }

  #take(message: FromManagerProcess): void {
    switch (message.said) {
      case 'started':
        this.#connected = [];
        for (const key of message.taken) this.#unconfirmed.delete(key);
        for (const key of message.ended) this.ended.add(key);
        for (const order of this.#unconfirmed.values()) this.process.order(order);
        return;
      case 'enrolment-token':
        return this.#tokens.get(message.label)?.resolve(message.value);
      case 'taken':
        this.#unconfirmed.delete(message.key);
        return;
      case 'ended':
        this.ended.add(message.key);
        return;
      case 'sessions':
        this.#connected = message.names;
        return;
      case 'waiting':
      case 'hello':
    }
  }
}

interface Waiter {
  readonly holds: (message: FromManagerProcess | undefined) => boolean;
  readonly met: Deferred<void>;
}
