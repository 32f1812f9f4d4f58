import { untilAborted } from '../kit/flow.ts';
import type { Clock } from '../kit/time.ts';
import { tokenError } from './token-errors.ts';

/** For one exchange, its Basic repeat included. */
export const EXCHANGE_LIMIT_MS = 60_000;

/**
 * Ends the wait, and aborts the work by the controller's signal, when the time is up or when the owner of the
 * controller aborts it before. Rejects as the work does, with `token.timeout`, or with the owner's reason.
 */
export async function withinTime<T>(
  clock: Clock,
  limitMs: number,
  controller: AbortController,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = clock.after(limitMs, () =>
    controller.abort(tokenError('token.timeout', `No token was obtained within ${limitMs / 1_000} s.`)),
  );
  try {
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    limit.cancel();
  }
}
