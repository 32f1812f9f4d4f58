import { userAgentOf } from '../../compose/network.ts';
import { ManagerRefusal } from '../../delegate/connection/manager-refusal.ts';
import { dial } from '../../delegate/connection/transport.ts';
import type { Dialer } from '../../http/dialer.ts';
import type { Clock } from '../../kit/time.ts';

/** What the manager answered to an upgrade. */
export type Answer =
  | { readonly is: 'opened'; readonly ms: number }
  | {
      readonly is: 'refused';
      readonly refusal: ManagerRefusal;
      /** Wall time around the exchange, milliseconds since the epoch. */
      readonly sentAt: number;
      readonly receivedAt: number;
    };

/** Who is visited, and by what way. */
export interface Host {
  readonly managerUrl: string;
  readonly dialer: Pick<Dialer, 'open'>;
  readonly version: string;
  readonly clock: Clock;
}

/**
 * One real upgrade on the way that the delegate takes. A connection that opens is cut before `hello`: a session begins
 * with that (PROTOCOL.md), so none is begun, none that stands is taken over, and no task is asked about.
 *
 * Rejects with `manager-unreachable`.
 */
export async function visit(
  { managerUrl, dialer, version, clock }: Host,
  token: string,
  signal: AbortSignal,
): Promise<Answer> {
  const sentAt = clock.now();
  const startedMs = clock.monotonic();
  try {
    const transport = await dial({
      managerUrl,
      dialer,
      token,
      userAgent: userAgentOf(version),
      signal,
      clock,
      tokenAheadMs: 0,
    });
    transport.terminate();
    await transport.closed;
    return { is: 'opened', ms: Math.round(clock.monotonic() - startedMs) };
  } catch (thrown) {
    if (thrown instanceof ManagerRefusal) {
      return { is: 'refused', refusal: thrown, sentAt, receivedAt: clock.now() };
    }
    throw thrown;
  }
}
