import type { SessionTable } from '../../src/manager/session-table.ts';
import type { DelegateMachine } from './delegate-machine.ts';
import type { History } from './history.ts';
import type { ManagerMachine } from './manager-machine.ts';
import type { Network } from './network.ts';
import type { Line } from './pipe.ts';
import type { Fault } from './plan.ts';
import type { SimulatedTime } from './time.ts';

interface MishapsOptions {
  readonly time: SimulatedTime;
  readonly history: History;
  readonly network: Network;
  readonly manager: ManagerMachine;
  /** By the number that faults name them by. */
  readonly delegates: readonly DelegateMachine[];
}

/** Makes the faults of a plan happen, and ends each of them: when its time is over, or when all heals. */
export class Mishaps {
  readonly #options: MishapsOptions;
  /** What ends the faults that are not over. */
  readonly #remedies = new Set<() => void>();
  readonly #stopping = new Set<Promise<void>>();
  #healed = false;

  constructor(options: MishapsOptions) {
    this.#options = options;
  }

  /** From here on nothing breaks any more. */
  get healed(): boolean {
    return this.#healed;
  }

  /** Delegates that were asked to stop before all healed, and have not started again. */
  get stopping(): number {
    return this.#stopping.size;
  }

  heal(): void {
    this.#options.history.note('fault', 'everything heals');
    this.#healed = true;
    for (const remedy of this.#remedies) remedy();
  }

  inject(fault: Fault): void {
    const { history, network, manager } = this.#options;
    history.note('fault', JSON.stringify(fault));
    switch (fault.is) {
      case 'kill-delegate': {
        const machine = this.#delegate(fault.who);
        machine.kill(fault.crash);
        return this.#remedyAfter(fault.backAfterMs, () => machine.start());
      }
      case 'stop-delegate': {
        const stopped = this.#stop(this.#delegate(fault.who), fault.graceMs, fault.backAfterMs).finally(() =>
          this.#stopping.delete(stopped),
        );
        this.#stopping.add(stopped);
        return;
      }
      case 'freeze-delegate': {
        const process = this.#delegate(fault.who).run?.process;
        process?.freeze();
        return this.#remedyAfter(fault.forMs, () => process?.thaw());
      }
      case 'step-clock': {
        const process = this.#delegate(fault.who).run?.process;
        if (process !== undefined) process.wallOffsetMs += fault.byMs;
        return;
      }
      case 'disk': {
        const { disk } = this.#delegate(fault.who);
        disk.fault = fault.fault;
        return this.#remedyAfter(fault.forMs, () => {
          disk.fault = undefined;
        });
      }
      case 'cut':
        return network.cut(this.#delegate(fault.who).identity.id, fault.hearing);
      case 'black-hole': {
        const line = this.#lineOf(fault.who);
        for (const direction of fault.directions) line.block(direction);
        return this.#remedyAfter(fault.forMs, () => {
          for (const direction of fault.directions) line.unblock(direction);
        });
      }
      case 'slow-line': {
        const line = this.#lineOf(fault.who);
        line.slowDown(fault.latencyMs);
        return this.#remedyAfter(fault.forMs, () => line.slowDown(-fault.latencyMs));
      }
      case 'kill-manager':
        manager.kill();
        return this.#remedyAfter(fault.backAfterMs, () => manager.start());
      case 'freeze-manager': {
        const { process } = manager;
        process?.freeze();
        return this.#remedyAfter(fault.forMs, () => process?.thaw());
      }
      case 'drain':
        return this.#order((sessions) => sessions.drain('the node moves', fault.reconnectAfterMs));
      case 'pause':
        this.#order((sessions) => sessions.pause('maintenance'));
        return this.#remedyAfter(fault.forMs, () => this.#order((sessions) => sessions.resume()));
      default:
        fault satisfies never;
    }
  }

  /** Ends when the delegate has stopped and the time for its next start is set, or when it was killed meanwhile. */
  async #stop(machine: DelegateMachine, graceMs: number, backAfterMs: number): Promise<void> {
    const { run } = machine;
    if (run === undefined) return;
    // A kill leaves the stop without an end, and brings a restart of its own.
    const killed = new Promise<void>((resolve) => run.process.onKilled(resolve));
    await Promise.race([machine.stop(graceMs), killed]);
    this.#remedyAfter(this.#healed ? 0 : backAfterMs, () => machine.start());
  }

  #order(order: (sessions: SessionTable) => void): void {
    const { process, sessions } = this.#options.manager;
    if (sessions !== undefined) process?.enter(() => order(sessions));
  }

  #remedyAfter(ms: number, remedy: () => void): void {
    const once = (): void => {
      if (this.#remedies.delete(once)) remedy();
    };
    this.#remedies.add(once);
    this.#options.time.after(ms, once);
  }

  #lineOf(who: number): Line {
    return this.#options.network.lineOf(this.#delegate(who).identity.id);
  }

  #delegate(who: number): DelegateMachine {
    const machine = this.#options.delegates[who];
    if (machine === undefined) throw new RangeError(`there is no delegate ${who}`);
    return machine;
  }
}
