import { wrap } from '../../kit/errors.ts';
import type { Clock, Timer } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import type { RotationRequest } from '../state/rotation-request.ts';
import type { Credentials } from './credentials.ts';

/** How often an open session is asked whether its key is due. */
export const LOOK_EVERY_MS = 3_600_000;
/** After a manager that knows no rotation, or that did not know the new key: until it is tried again. */
const REST_MS = 24 * 3_600_000;

export interface KeyRotationOptions {
  readonly credentials: Pick<Credentials, 'settle' | 'rotate' | 'keyAgeMs'>;
  /** The operator's wish for a new key. */
  readonly request: RotationRequest;
  /** Greatest age of a key; 0 for any. */
  readonly maxAgeMs: number;
  /** The key in use is another than before. */
  readonly changed: () => void;
  /** Has the session replaced by one with the key that is in use now. */
  readonly move: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Sees to it, while there is a session, that the delegate's key does not grow too old. */
export class KeyRotation implements AsyncDisposable {
  readonly #options: KeyRotationOptions;
  readonly #end = new AbortController();
  #looking: Promise<void> | undefined;
  #nextLook: Timer | undefined;
  /** Monotonic; not to be tried before. */
  #restsUntil = -Infinity;

  constructor(options: KeyRotationOptions) {
    this.#options = options;
  }

  /** A session is open. */
  begin(): void {
    if (this.#end.signal.aborted) return;
    this.#nextLook?.cancel();
    this.#nextLook = this.#options.clock.after(LOOK_EVERY_MS, () => this.begin());
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  /** No session is open: what is under way goes on. */
  pause(): void {
    this.#nextLook?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the delegate stops'));
    this.pause();
    await this.#looking;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { credentials, request, changed, move, clock, log } = this.#options;
    try {
      switch (await credentials.settle()) {
        case 'replaced':
          // Not before: a key that the manager did not keep has granted nobody's wish.
          return await request.remove();
        case 'went-back':
          this.#restsUntil = clock.monotonic() + REST_MS;
          return changed();
        case 'open':
          // This session began before the change.
          return move();
        case 'settled':
          if (clock.monotonic() >= this.#restsUntil && (await this.#isDue())) await this.#rotate();
      }
    } catch (thrown) {
      if (this.#end.signal.aborted) return;
      log.warn(wrap(thrown).toWire(), "the delegate's key was not changed; it will be tried again");
    }
  }

  async #isDue(): Promise<boolean> {
    const { credentials, maxAgeMs, request } = this.#options;
    if (await request.isThere()) return true;
    return maxAgeMs > 0 && (await credentials.keyAgeMs()) >= maxAgeMs;
  }

  async #rotate(): Promise<void> {
    const { credentials, clock, log, changed, move } = this.#options;
    const outcome = await credentials.rotate(this.#end.signal);
    if (outcome === 'unsupported') {
      this.#restsUntil = clock.monotonic() + REST_MS;
      log.info("the manager knows no change of a delegate's key; the present one goes on");
      return;
    }
    // A wish that can't be taken away must not be granted with each session anew.
    this.#restsUntil = clock.monotonic() + LOOK_EVERY_MS;
    log.info('the delegate has a new key; connecting with it');
    changed();
    move();
  }
}
