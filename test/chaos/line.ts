import type { Random } from '../support/random.ts';
import { FaultProxy, type Door, type Flow, type ProxiedConnection } from '../support/fault-proxy.ts';
import { Mischief } from './mischief.ts';
import type { LineFault, MischiefRates, Toward } from './plan.ts';

/** Real milliseconds, for every piece that passes. */
const DELAY_MS = 10;

/** The line between one delegate and the manager: bytes can go wrong first, then frames. */
export class Line implements AsyncDisposable {
  readonly #proxy: FaultProxy;
  readonly #mischief: Mischief;

  private constructor(proxy: FaultProxy, mischief: Mischief) {
    this.#proxy = proxy;
    this.#mischief = mischief;
  }

  static async start(managerPort: number, random: Random, rates: MischiefRates): Promise<Line> {
    const mischief = await Mischief.start(managerPort, random, rates);
    return new Line(await FaultProxy.start(mischief.port), mischief);
  }

  get port(): number {
    return this.#proxy.port;
  }

  /** RST to both sides of every connection. */
  cut(): void {
    this.#proxy.cutAll();
  }

  /** What lasts goes on, for new connections too, until `mend`. */
  disturb(what: LineFault, toward: Toward): void {
    const live = this.#proxy.connections;
    switch (what) {
      case 'cut':
        return this.cut();
      case 'end':
        for (const connection of live) connection.end();
        return;
      case 'half-close':
        for (const connection of live) laneOf(connection, toward).end();
        return;
      case 'duplicate':
        // The manager refuses the copy, or is not there to do so; either is told to nobody.
        void live
          .at(-1)
          ?.replay()
          .catch(() => {});
        return;
      case 'black-hole':
        return this.#flow('discard', toward);
      case 'stall':
        return this.#flow('stall', toward);
      case 'dribble':
        return this.#flow('dribble', toward);
      case 'delay':
        return this.#flow({ delayMs: DELAY_MS }, toward);
      case 'refuse':
        return this.#shut('refuse');
      case 'silence':
        return this.#shut('silent');
    }
  }

  /** The end of the fault that lasted. What was held back arrives now; where bytes are missing, nothing can follow. */
  mend(): void {
    this.#proxy.door = 'open';
    this.#proxy.arrange = () => {};
    for (const connection of this.#proxy.connections) {
      for (const lane of [connection.up, connection.down]) {
        if (lane.flow === 'discard') connection.cut();
        else lane.flow = 'pass';
      }
    }
  }

  heal(): void {
    this.#mischief.heal();
    this.mend();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.mend();
    await this.#mischief[Symbol.asyncDispose]();
    await this.#proxy[Symbol.asyncDispose]();
  }

  #flow(flow: Flow, toward: Toward): void {
    const arrange = (connection: ProxiedConnection): void => {
      laneOf(connection, toward).flow = flow;
    };
    this.#proxy.arrange = arrange;
    for (const connection of this.#proxy.connections) arrange(connection);
  }

  #shut(door: Door): void {
    this.#proxy.door = door;
    this.cut();
  }
}

function laneOf(connection: ProxiedConnection, toward: Toward): ProxiedConnection['up'] {
  return toward === 'manager' ? connection.up : connection.down;
}
