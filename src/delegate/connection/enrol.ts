import { retryAfterMs, type HttpSend } from '../../kit/http-exchange.ts';
import type { Secret } from '../../kit/secret.ts';
import type { Clock } from '../../kit/time.ts';
import { enrolResponseSchema, type EnrolRequest, type EnrolResponse } from '../../protocol/enrolment.ts';
import { ENROLL_PATH } from '../../protocol/limits.ts';
import { forbidden, ManagerRefusal, parseOrUndefined } from './manager-refusal.ts';

/** One enrolment request (PROTOCOL.md, section 2). Rejects with `ManagerRefusal` or an error of the transport. */
export async function enrol(
  send: HttpSend,
  managerUrl: string,
  token: Secret,
  request: EnrolRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<EnrolResponse> {
  const response = await send({
    method: 'POST',
    url: new URL(managerUrl + ENROLL_PATH),
    headers: { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/json' },
    body: JSON.stringify(request),
    signal,
  });
  if (response.status === 201) {
    const parsed = enrolResponseSchema.safeParse(parseOrUndefined(response.body));
    if (parsed.success) return parsed.data;
  }
  if (response.status === 403) throw forbidden(response.body);
  throw enrolmentRefused(response.status, retryAfterMs(response.headers, clock.now()));
}

function enrolmentRefused(status: number, waitMs: number | undefined): ManagerRefusal {
  switch (status) {
    case 401:
      return new ManagerRefusal('enrolment-token-refused', 'The manager does not know the enrolment token.', {
        status,
        next: 'slowest-pace',
      });
    case 409:
      return new ManagerRefusal(
        'instance-taken',
        "The manager knows this delegate's instance id by another key.",
        {
          status,
          next: 'slowest-pace',
        },
      );
    default:
      return new ManagerRefusal(
        'enrolment-failed',
        `The manager answered the enrolment with HTTP ${status}.`,
        {
          status,
          next: 'reconnect',
          retryAfterMs: waitMs,
        },
      );
  }
}
