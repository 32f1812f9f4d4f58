import { forgetOldest } from '../../kit/bounds.ts';
import type { DelegateError } from '../../kit/errors.ts';
import { ended, untilAborted } from '../../kit/flow.ts';
import type { Clock } from '../../kit/time.ts';

/**
 * How long a refused password is believed to be wrong: the first time, and at most, as it repeats. Each try counts
 * towards the lock-out, so that the fifth comes when somebody has had an hour to notice.
 */
const PASSWORD_LIFE = { firstMs: 5 * 60_000, mostMs: 60 * 60_000 };
/** A refused token locks nobody out; what ServiceNow misses may be put right any minute. */
const TOKEN_LIFE = { firstMs: 30_000, mostMs: 30_000 };
/** Credentials that are remembered. */
const MAX_REMEMBERED = 500;

type Standing =
  | { readonly at: 'accepted' }
  /** Somebody finds out; `outcome` never rejects. */
  | { readonly at: 'asked'; readonly outcome: Promise<void>; readonly before: Refused | undefined }
  | Refused;

interface Refused {
  readonly at: 'refused';
  readonly error: DelegateError;
  /** On the monotonic clock. */
  readonly until: number;
  /** In a row, as far as they were believed apart. */
  readonly refusals: number;
}

/**
 * Keeps refused credentials from being sent again and again. ServiceNow locks an account after five failures
 * (KB0749501), and a thousand tasks with one mistyped password would be a thousand failures: until credentials have
 * been accepted once, one request at a time finds out, and what it finds holds for all.
 *
 * A changed password is another identity, and so is tried at once.
 */
export class CredentialGuard {
  readonly #clock: Clock;
  readonly #standings = new Map<string, Standing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Does the work, unless its credentials were refused a moment ago: then rejects with what was said of them.
   * Undefined if somebody else has found out meanwhile, or the work came to nothing: then ask again. It does not wait
   * for its turn itself, so that everybody who waits meets first whatever else there is to wait for.
   *
   * @param identity a hash of the credentials
   * @param work calls `refused` as soon as it knows of a refusal; undefined if it did not come to send them
   * @param options.anew tries even so: somebody has asked for a test
   */
  async run<T>(
    identity: string,
    work: () => Promise<T | undefined>,
    { signal, anew }: { signal: AbortSignal; anew: boolean },
  ): Promise<T | undefined> {
    signal.throwIfAborted();
    const standing = this.#standings.get(identity);
    if (standing?.at === 'accepted') return await work();
    if (standing?.at === 'asked') {
      await untilAborted(standing.outcome, signal);
      return undefined;
    }
    if (!anew) this.assertNotRefused(identity);
    return await this.#ask(identity, standing, work);
  }

  /** To be called right before credentials are sent: others may have been refused while this request waited. */
  assertNotRefused(identity: string): void {
    const standing = this.#standings.get(identity);
    if (standing?.at !== 'refused') return;
    const leftMs = standing.until - this.#clock.monotonic();
    if (leftMs > 0) throw stillRefused(standing.error, leftMs);
  }

  /** @param kind what was refused: a password counts towards a lock-out each time, a token does not */
  refused(identity: string, error: DelegateError, kind: 'password' | 'token'): void {
    const standing = this.#standings.get(identity);
    const before = standing?.at === 'asked' ? standing.before : standing;
    const refusals = before?.at === 'refused' ? before.refusals : 0;
    // Of several that were on their way together, the first counts.
    if (before?.at === 'refused' && standing === before && this.#clock.monotonic() < before.until) return;
    const { firstMs, mostMs } = kind === 'password' ? PASSWORD_LIFE : TOKEN_LIFE;
    const until = this.#clock.monotonic() + Math.min(mostMs, firstMs * 2 ** refusals);
    this.#remember(identity, { at: 'refused', error, until, refusals: refusals + 1 });
  }

  async #ask<T>(
    identity: string,
    before: Refused | undefined,
    work: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    const answer = work();
    const asked: Standing = { at: 'asked', before, outcome: ended(answer) };
    this.#remember(identity, asked);
    try {
      const value = await answer;
      if (value !== undefined && this.#standings.get(identity) === asked) {
        this.#remember(identity, { at: 'accepted' });
      }
      return value;
    } finally {
      // Neither accepted nor refused (a network failure, an abort, not sent at all): the next one finds out.
      if (this.#standings.get(identity) === asked) {
        if (before === undefined) this.#standings.delete(identity);
        else this.#standings.set(identity, before);
      }
    }
  }

  #remember(identity: string, standing: Standing): void {
    this.#standings.delete(identity);
    this.#standings.set(identity, standing);
    forgetOldest(this.#standings, MAX_REMEMBERED);
  }
}

function stillRefused(error: DelegateError, leftMs: number): DelegateError {
  const remembered = `This was the answer a moment ago; the delegate asks again in ${Math.ceil(leftMs / 1_000)} s, or at once if the credentials change or the connector is tested.`;
  return error.retold({
    hint: error.hint === undefined ? remembered : `${error.hint} ${remembered}`,
    details: { askedAgainInMs: Math.ceil(leftMs) },
  });
}
