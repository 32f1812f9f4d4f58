import type { Random } from '../support/random.ts';
import { FrameSplitter, type Frame } from './frames.ts';
import type { MischiefRates } from './plan.ts';
import { HeadReader, relay, RelayServer, type Through } from './relay.ts';

/**
 * What a proxy that speaks WebSocket, a manager with a hiccup or a retry could do to single frames: send one
 * twice, let one overtake another, bring one of some time ago again. Only frames for which the protocol says what
 * a copy means.
 */

const TO_DELEGATE: ReadonlySet<string> = new Set(['task.assign', 'accept.ack', 'result.ack']);
const TO_MANAGER: ReadonlySet<string> = new Set(['task.accept', 'task.result']);
/** Assigns of one delegate that can be brought again: few, so that many of them are still under way. */
const MAX_REMEMBERED = 8;

export class Mischief implements AsyncDisposable {
  readonly #server: RelayServer;
  /** Undefined once healed. */
  readonly #now: { rates: MischiefRates | undefined };

  private constructor(server: RelayServer, now: { rates: MischiefRates | undefined }) {
    this.#server = server;
    this.#now = now;
  }

  /** For the connections of one delegate to the manager on this port. */
  static async start(managerPort: number, random: Random, rates: MischiefRates): Promise<Mischief> {
    const assigns: Buffer[] = [];
    const now: { rates: MischiefRates | undefined } = { rates };
    const toManager = { now, random, only: TO_MANAGER };
    const toDelegate = { now, random, only: TO_DELEGATE, assigns };
    const server = await RelayServer.start((client, dial) => {
      const manager = dial(managerPort);
      relay(client, manager, afterHead(/^upgrade: websocket\r$/im, disturbed(toManager)));
      relay(manager, client, afterHead(/^HTTP\/1\.1 101 /, disturbed(toDelegate)));
    });
    return new Mischief(server, now);
  }

  get port(): number {
    return this.#server.port;
  }

  heal(): void {
    this.#now.rates = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

interface Disturbance {
  /** Read at every frame; without rates nothing is disturbed. */
  readonly now: { readonly rates: MischiefRates | undefined };
  readonly random: Random;
  /** Frame types. */
  readonly only: ReadonlySet<string>;
  /** Where assigns are remembered, in the direction that has them; the only one in which frames change places. */
  readonly assigns?: Buffer[];
}

/** Passes frames on, in one direction of one connection. */
export function disturbed({ now, random, only, assigns }: Disturbance): (frame: Frame) => readonly Buffer[] {
  let held: Buffer | undefined;
  return (frame) => {
    const { raw } = frame;
    const before = held === undefined ? [] : [held];
    held = undefined;
    const { rates } = now;
    const type = frame.isText ? typeOf(frame) : undefined;
    if (rates === undefined || type === undefined || !only.has(type)) return [...before, raw];
    if (assigns !== undefined && before.length === 0 && random.chance(rates.swapped)) {
      held = raw;
      return [];
    }
    const out = [raw, ...before];
    if (random.chance(rates.twice)) out.push(raw);
    if (assigns !== undefined) {
      if (assigns.length > 0 && random.chance(rates.replayed)) out.push(random.pick(assigns));
      if (type === 'task.assign') assigns.push(raw);
      if (assigns.length > MAX_REMEMBERED) assigns.shift();
    }
    return out;
  };
}

/** Both sides write the type first; the rest of the frame is not looked at. */
function typeOf(frame: Frame): string | undefined {
  return /^\{"type":"([a-z.]+)"/.exec(frame.beginning())?.[1];
}

/** The head of the HTTP message as it is, then frame by frame if it matches, else everything as it is. */
function afterHead(upgrade: RegExp, each: (frame: Frame) => readonly Buffer[]): Through {
  const reader = new HeadReader();
  const splitter = new FrameSplitter();
  let phase: 'head' | 'frames' | 'bytes' = 'head';
  const frames = (chunk: Buffer): Buffer[] => splitter.push(chunk).flatMap(each);
  return (chunk) => {
    if (phase === 'bytes') return [chunk];
    if (phase === 'frames') return frames(chunk);
    const read = reader.push(chunk);
    if (read === undefined) return [];
    phase = upgrade.test(read.head) ? 'frames' : 'bytes';
    const head = Buffer.from(read.head, 'latin1');
    return phase === 'frames' ? [head, ...frames(read.rest)] : [head, read.rest];
  };
}
