import type { IncomingMessage } from 'node:http';
import { retryAfterMs } from '../../kit/http-exchange.ts';
import type { Clock } from '../../kit/time.ts';
import { forbidden, ManagerRefusal } from './manager-refusal.ts';

/**
 * Between the manager's clock and ours before a refused token is put down to it. `Date` is in whole seconds and
 * the answer may have been on its way for as long as an upgrade may take.
 */
const TOLERATED_SKEW_MS = 30_000;
/** More than that of a body is not read: a manager's own words fit many times. */
const MAX_BODY_BYTES = 4_096;
/** A body that comes no faster says nothing. */
const BODY_WITHIN_MS = 2_000;

interface Attempt {
  readonly clock: Clock;
  /** By how much the token's time differs from this machine's, milliseconds. */
  readonly tokenAheadMs: number;
}

/** An HTTP answer instead of 101: a refusal with a meaning, or something between that is not the manager. */
export async function refusalOf(
  response: IncomingMessage,
  { clock, tokenAheadMs }: Attempt,
): Promise<ManagerRefusal> {
  const status = response.statusCode ?? 0;
  if (status === 403) return forbidden(await startOf(response, clock));
  response.resume();
  const nowMs = clock.now();
  switch (status) {
    case 401:
      return tokenRefused(response.headers.date, nowMs, tokenAheadMs);
    case 426:
      return new ManagerRefusal(
        'unsupported-version',
        "The manager does not support this delegate's protocol.",
        {
          status,
          next: 'slowest-pace',
        },
      );
    default:
      return new ManagerRefusal(
        'upgrade-refused',
        `The manager answered HTTP ${status} instead of a WebSocket.`,
        {
          status,
          next: 'reconnect',
          retryAfterMs: retryAfterMs(
            {
              'retry-after': response.headers['retry-after'] ?? '',
              date: response.headers.date ?? '',
            },
            nowMs,
          ),
        },
      );
  }
}

/**
 * A token is refused for its key or for its time, and the status does not say which. Enrolling again mends the
 * first alone, and would spend an enrolment token on the second.
 */
function tokenRefused(date: string | undefined, nowMs: number, tokenAheadMs: number): ManagerRefusal {
  const status = 401;
  const parsedMs = Date.parse(date ?? '');
  const managerDateMs = Number.isNaN(parsedMs) ? undefined : parsedMs;
  const isOff = (ms: number): boolean =>
    managerDateMs !== undefined && Math.abs(ms - managerDateMs) > TOLERATED_SKEW_MS;
  // The token may have been corrected by what the manager said before, and the clock been set right since.
  if (!isOff(nowMs + tokenAheadMs)) {
    return new ManagerRefusal('not-authenticated', "The manager does not accept this delegate's key.", {
      status,
      next: 'enrol-again',
      managerDateMs,
    });
  }
  return new ManagerRefusal(
    'not-authenticated',
    "The time of this delegate's connect token is not the manager's time.",
    {
      status,
      next: 'reconnect',
      hint: isOff(nowMs)
        ? skewHint(nowMs - (managerDateMs ?? nowMs))
        : 'The next token goes by the clock that was set right.',
      managerDateMs,
    },
  );
}

function skewHint(machineAheadMs: number): string {
  const seconds = Math.round(Math.abs(machineAheadMs) / 1_000);
  const direction = machineAheadMs > 0 ? 'ahead of' : 'behind';
  return `This machine's clock is ${seconds} s ${direction} the manager's; set one of them right (NTP), because tokens expire.`;
}

/** What came of a body within its limits. */
async function startOf(response: IncomingMessage, clock: Clock): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const overdue = clock.after(BODY_WITHIN_MS, () => response.destroy());
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('a response without encoding yields buffers');
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes >= MAX_BODY_BYTES) break;
    }
  } catch {
    // The status has come; a body that does not come to its end is judged by what came of it.
  } finally {
    overdue.cancel();
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8');
}
