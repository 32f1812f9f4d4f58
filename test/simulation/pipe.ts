import type { Random } from '../support/random.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedTime } from './time.ts';

/** What the kernels on both sides take in for one direction before the sender has to wait. */
const SOCKET_BUFFER_BYTES = 65_536;

/** On a line that nothing ails. */
const MOST_LATENCY_MS = 40;

/** One thing on its way through a connection. A `gone` is the end of the bytes: FIN or RST. */
export type Parcel =
  | { readonly is: 'upgrade' | 'upgraded' | 'gone' }
  | { readonly is: 'frame'; readonly text: string; readonly onSent?: (() => void) | undefined }
  | { readonly is: 'close'; readonly code: number; readonly reason: string };

export type Direction = 'toManager' | 'toDelegate';

/** The way between one delegate and the manager, with what holds for all connections on it. */
export class Line {
  readonly time: SimulatedTime;
  readonly random: Random;
  #latencyMs = MOST_LATENCY_MS;
  readonly #blocks: Record<Direction, number> = { toManager: 0, toDelegate: 0 };
  readonly #waiting: Record<Direction, (() => void)[]> = { toManager: [], toDelegate: [] };

  constructor(time: SimulatedTime, random: Random) {
    this.time = time;
    this.random = random;
  }

  /** Bytes of this direction vanish, and are sent again by TCP until they get through. Blocks add up. */
  block(direction: Direction): void {
    this.#blocks[direction] += 1;
  }

  unblock(direction: Direction): void {
    this.#blocks[direction] -= 1;
    if (this.#blocks[direction] > 0) return;
    for (const goOn of this.#waiting[direction].splice(0)) goOn();
  }

  /** Calls back as soon as the direction is open: at once if it is. */
  whenOpen(direction: Direction, goOn: () => void): void {
    if (this.#blocks[direction] > 0) this.#waiting[direction].push(goOn);
    else goOn();
  }

  /** @param byMs negative to make up for it */
  slowDown(byMs: number): void {
    this.#latencyMs += byMs;
  }

  drawLatencyMs(): number {
    return this.random.between(1, this.#latencyMs);
  }
}

interface UnderWay {
  readonly parcel: Parcel;
  readonly bytes: number;
  /** Undefined while it waits in the sender's memory, not in a kernel. */
  dueAt: number | undefined;
}

/** One direction of one connection: in order, late, held up, and lost only together with the connection. */
export class Pipe {
  readonly #line: Line;
  readonly #direction: Direction;
  readonly #sender: SimulatedProcess;
  readonly #arrive: (parcel: Parcel) => void;
  #queue: UnderWay[] = [];
  #kernelBytes = 0;
  #lastDueAt = 0;
  #pumping = false;
  /** Broken on its way: nothing sent from then on gets through, and nobody is told. */
  #severed = false;
  /** After `gone` nothing follows. */
  #finished = false;

  constructor(line: Line, direction: Direction, sender: SimulatedProcess, arrive: (parcel: Parcel) => void) {
    this.#line = line;
    this.#direction = direction;
    this.#sender = sender;
    this.#arrive = arrive;
  }

  /** Bytes that no kernel has taken yet. */
  get unsentBytes(): number {
    return this.#queue.reduce((sum, { bytes, dueAt }) => (dueAt === undefined ? sum + bytes : sum), 0);
  }

  send(parcel: Parcel): void {
    if (this.#finished) return;
    const bytes = parcel.is === 'frame' ? parcel.text.length : 0;
    this.#queue.push({ parcel, bytes, dueAt: undefined });
    this.#handOver();
    this.#pump();
  }

  /** The sender is gone. What its kernel has still arrives, at most, and then the news of the end. */
  finish(): void {
    if (this.#finished) return;
    const inKernel = this.#queue.filter(isInKernel);
    const isReset = this.#line.random.chance(0.5);
    this.#queue = isReset ? inKernel.slice(0, this.#line.random.int(inKernel.length + 1)) : inKernel;
    this.#kernelBytes = 0;
    this.send({ is: 'gone' });
    this.#finished = true;
  }

  /** Of what is under way a part still arrives. */
  sever(): void {
    if (this.#severed) return;
    const inKernel = this.#queue.filter(isInKernel);
    const waiting = this.#queue.slice(inKernel.length);
    this.#queue = [...inKernel.slice(0, this.#line.random.int(inKernel.length + 1)), ...waiting];
    this.#severed = true;
  }

  #handOver(): void {
    const { time } = this.#line;
    const taken = this.#queue.filter((underWay) => {
      if (isInKernel(underWay) || this.#kernelBytes >= SOCKET_BUFFER_BYTES) return false;
      this.#kernelBytes += underWay.bytes;
      underWay.dueAt = Math.max(this.#lastDueAt, time.monotonic() + this.#line.drawLatencyMs());
      this.#lastDueAt = underWay.dueAt;
      return true;
    });
    for (const { parcel } of taken) {
      if (parcel.is !== 'frame' || parcel.onSent === undefined) continue;
      const { onSent } = parcel;
      time.after(0, () => this.#sender.enter(onSent));
    }
    // A kernel takes it all the same, as far as its buffer goes, and sends it again and again in vain.
    if (this.#severed) this.#queue = this.#queue.filter((underWay) => !taken.includes(underWay));
  }

  #pump(): void {
    const [head] = this.#queue;
    if (this.#pumping || head?.dueAt === undefined) return;
    this.#pumping = true;
    const { time } = this.#line;
    time.after(head.dueAt - time.monotonic(), () => {
      this.#line.whenOpen(this.#direction, () => this.#deliver());
    });
  }

  #deliver(): void {
    this.#pumping = false;
    const head = this.#queue.shift();
    if (head === undefined) return;
    this.#kernelBytes -= this.#severed ? 0 : head.bytes;
    this.#arrive(head.parcel);
    this.#handOver();
    this.#pump();
  }
}

function isInKernel({ dueAt }: UnderWay): boolean {
  return dueAt !== undefined;
}
