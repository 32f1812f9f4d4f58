import type { Random } from '../support/random.ts';
import type { Pipe } from './pipe.ts';
import type { SimulatedTime } from './time.ts';

/** Frames that the protocol lets a peer repeat: their readers must cope with a copy that comes late. */
const REPEATABLE = ['task.assign', 'accept.ack', 'result.ack', 'task.accept', 'task.result'] as const;
/** Frames that may come in another order among the others. */
const MOVABLE = ['task.assign', 'accept.ack', 'result.ack'] as const;

const CREDIT = /^\{"type":"credit","granted":(\d+)\}$/;

const MAX_REPEAT_AFTER_MS = 20_000;
const MAX_HELD_MS = 1_500;

/**
 * What stands in one connection and makes its peers keep to the letter of the protocol and to nothing else: it
 * repeats and delays single frames.
 */
export class Mischief {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  /** Chance of each, for each frame. */
  readonly #rate: number;
  readonly #assigned = new Set<string>();
  #copiesAssigned = 0;
  #granted = 0;

  constructor(time: SimulatedTime, random: Random, rate: number) {
    this.#time = time;
    this.#random = random;
    this.#rate = rate;
  }

  send(pipe: Pipe, text: string, onSent?: () => void): void {
    const parcel = { is: 'frame', text: this.#withCreditLeft(text), onSent } as const;
    if (isOneOf(MOVABLE, text) && this.#random.chance(this.#rate)) {
      this.#time.after(this.#random.between(1, MAX_HELD_MS), () => pipe.send(parcel));
    } else pipe.send(parcel);
    if (isOneOf(REPEATABLE, text) && this.#random.chance(this.#rate)) {
      const afterMs = this.#random.between(1, MAX_REPEAT_AFTER_MS);
      this.#time.after(afterMs, () => pipe.send({ is: 'frame', text }));
    }
  }

  /** To be told of each frame that the delegate reads. */
  delegateReceives(text: string): void {
    if (!isOneOf(['task.assign'], text)) return;
    if (this.#assigned.has(text)) this.#copiesAssigned += 1;
    this.#assigned.add(text);
  }

  /** A copy of an assign spends credit, of which the manager knows nothing: it hears only of what is left to it. */
  #withCreditLeft(text: string): string {
    return text.replace(CREDIT, (_, granted: string) => {
      this.#granted = Math.max(this.#granted, Number(granted) - this.#copiesAssigned);
      return `{"type":"credit","granted":${this.#granted}}`;
    });
  }
}

function isOneOf(types: readonly string[], text: string): boolean {
  return types.some((type) => text.startsWith(`{"type":"${type}"`));
}
