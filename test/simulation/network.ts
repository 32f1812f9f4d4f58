import type { Random } from '../support/random.ts';
import { Connection, type DelegateEnd, type Hearing, type ManagerEnd, type Tap } from './connection.ts';
import type { Mischief } from './mischief.ts';
import { Line } from './pipe.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';

/** The manager's machine, whichever process runs there when a connection arrives. */
interface ManagerAddress {
  /** The process that listens; undefined while none does. */
  readonly process: () => SimulatedProcess | undefined;
  readonly accept: (delegateId: string, end: ManagerEnd) => void;
}

interface NetworkOptions {
  readonly time: SimulatedTime;
  readonly random: Random;
  /** For one connection. */
  readonly mischief: () => Mischief;
  /** Chance that a connection breaks while it is being opened, or soon after. */
  readonly flakyDialRate: () => number;
  readonly manager: ManagerAddress;
  /** Listens in on one connection. */
  readonly tap: (delegateId: string, processName: string) => Tap;
}

const NOBODY_HEARS: Hearing = { delegateAfterMs: undefined, managerAfterMs: undefined };
/** How long after the dial a flaky connection may break. */
const FLAKY_FOR_MS = 8_000;

/** Who hears of a broken connection, and when. */
export function drawHearing(random: Random): Hearing {
  const maybe = (mostMs: number): number | undefined => (random.chance(0.3) ? undefined : random.int(mostMs));
  return { delegateAfterMs: maybe(2_000), managerAfterMs: maybe(5_000) };
}

/** Everything between the delegates and the manager. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #lines = new Map<string, Line>();
  readonly #connections = new Map<Connection, string>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  lineOf(delegateId: string): Line {
    const { time, random } = this.#options;
    const line = this.#lines.get(delegateId) ?? new Line(time, random);
    this.#lines.set(delegateId, line);
    return line;
  }

  dial(delegateId: string, process: SimulatedProcess): DelegateEnd {
    const { time, random, manager, mischief, flakyDialRate, tap } = this.#options;
    const connection = new Connection({
      line: this.lineOf(delegateId),
      process,
      mischief: mischief(),
      tap: tap(delegateId, process.name),
      manager: manager.process,
      accept: (end) => manager.accept(delegateId, end),
    });
    this.#connections.set(connection, delegateId);
    if (random.chance(flakyDialRate())) {
      time.after(random.int(FLAKY_FOR_MS), () => connection.cut(drawHearing(random)));
    }
    return connection.delegateEnd;
  }

  /** Every connection of the delegate breaks. Each end hears of it after a while, or (undefined) never. */
  cut(delegateId: string, hearing: Hearing): void {
    for (const connection of this.#of(delegateId)) connection.cut(hearing);
  }

  /** @param silently as when the machine lost its power: nobody is left to say that the connections are over */
  delegateKilled(delegateId: string, silently: boolean): void {
    for (const connection of this.#of(delegateId)) {
      if (silently) connection.cut(NOBODY_HEARS);
      connection.delegateKilled();
    }
  }

  managerKilled(): void {
    for (const connection of this.#connections.keys()) connection.managerKilled();
  }

  #of(delegateId: string): Connection[] {
    return [...this.#connections].filter(([, id]) => id === delegateId).map(([connection]) => connection);
  }
}
