import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../kit/time.ts';

/** Idle time after which a session is forgotten. Short for integrations, as the support articles advise. */
const SESSION_IDLE_MS = 5 * 60_000;

/** Bound on live sessions; the oldest goes first. A client without a cookie jar opens one per request. */
const MAX_SESSIONS = 10_000;

/** Who is behind a session cookie. */
export class Sessions {
  readonly #clock: Clock;
  readonly #sessions = new Map<string, { userName: string; usedAt: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(userName: string): string {
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size < MAX_SESSIONS) break;
      this.#sessions.delete(oldest);
    }
    const id = newId();
    this.#sessions.set(id, { userName, usedAt: this.#clock.monotonic() });
    return id;
  }

  /** The id of a session that nobody is logged in to. */
  openForNobody(): string {
    return newId();
  }

  /**
   * A live session answers for its user, whatever credentials come with it: the reason why two connectors must never
   * share a cookie jar.
   */
  userOf(id: string | undefined): string | undefined {
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (id === undefined || session === undefined) return undefined;
    if (this.#clock.monotonic() - session.usedAt > SESSION_IDLE_MS) {
      this.#sessions.delete(id);
      return undefined;
    }
    session.usedAt = this.#clock.monotonic();
    return session.userName;
  }
}

function newId(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}
