import { fullJitterMs } from '../../kit/time.ts';
import { afterClose, CloseCode, type AfterClose } from '../../protocol/close-codes.ts';
import {
  HEALTHY_AFTER_MS,
  MAX_WAIT_MS,
  RECONNECT_BASE_MS,
  RECONNECT_CAP_MS,
  SLOWEST_PACE_MS,
  SLOWEST_PACE_SPREAD,
} from '../../protocol/limits.ts';
import { ManagerRefusal } from './manager-refusal.ts';
import { SessionNotOpened } from './session.ts';

/** What went wrong with one attempt, as far as the next step depends on it. */
export interface Setback {
  next: AfterClose;
  /** What the manager asked for, if it did. */
  retryAfterMs: number | undefined;
}

/** Classifies by type and close code. Anything unknown is the network's fault until proven otherwise. */
export function setbackOf(failure: unknown): Setback {
  if (failure instanceof SessionNotOpened) {
    return { next: afterClose(failure.end.code), retryAfterMs: undefined };
  }
  if (failure instanceof ManagerRefusal) {
    return { next: failure.next, retryAfterMs: failure.retryAfterMs };
  }
  return { next: 'reconnect', retryAfterMs: undefined };
}

/** Whether the manager has said that it wants nothing more of this delegate: by HTTP 403, or by close code. */
export function isRevocation(failure: unknown): boolean {
  if (failure instanceof SessionNotOpened) return failure.end.code === CloseCode.Revoked;
  return failure instanceof ManagerRefusal && failure.code === 'revoked';
}

/**
 * How long to wait before the next attempt, milliseconds.
 *
 * @param failures setbacks in a row so far, this one not counted
 */
export function waitMs(setback: Setback, failures: number, random: () => number): number {
  if (setback.next === 'slowest-pace') {
    // Spread downwards only: no wait may exceed the 5 min.
    return SLOWEST_PACE_MS * (1 - SLOWEST_PACE_SPREAD * random());
  }
  const jitterMs = fullJitterMs(failures, { baseMs: RECONNECT_BASE_MS, capMs: RECONNECT_CAP_MS }, random);
  if (setback.retryAfterMs === undefined) return jitterMs;
  // Not before the time asked for, and spread behind it, because everybody was told the same.
  return Math.min(MAX_WAIT_MS, setback.retryAfterMs + jitterMs);
}

/** The back-off starts again only after a healthy while: a manager that accepts and drops is still a setback. */
export function failuresAfter(lastedMs: number, failures: number): number {
  return lastedMs >= HEALTHY_AFTER_MS ? 0 : failures;
}
