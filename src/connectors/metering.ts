import { DelegateError } from '../kit/errors.ts';
import { isTransportFailure, type HttpSend } from '../kit/http-exchange.ts';
import type { Clock } from '../kit/time.ts';
import { OTHER, SUCCEEDED, type TokenGrant } from '../observability/metrics.ts';
import type { ConnectorMeter } from './connector.ts';

/** The same `send`, of whose answers, and failures, the meter is told. */
export function meteredSend(
  send: HttpSend,
  { meter, clock }: { readonly meter: ConnectorMeter; readonly clock: Clock },
): HttpSend {
  return async (request) => {
    const begunAt = clock.monotonic();
    try {
      const response = await send(request);
      meter.instanceAnswered(clock.monotonic() - begunAt, response.status);
      return response;
    } catch (thrown) {
      // A request that was given up, or that the policy has not let out, says nothing of the system that it was for.
      if (isTransportFailure(thrown) && !request.signal.aborted) {
        meter.instanceAnswered(clock.monotonic() - begunAt, undefined);
      }
      throw thrown;
    }
  };
}

/** An exchange with a token server, of whose end the meter is told. */
export async function meteredGrant<T>(
  { meter, grant, signal }: { meter: ConnectorMeter; grant: TokenGrant; signal: AbortSignal },
  exchange: () => Promise<T>,
): Promise<T> {
  try {
    const answer = await exchange();
    meter.tokenRequested(grant, SUCCEEDED);
    return answer;
  } catch (thrown) {
    // One that was given up says nothing of the token server.
    if (!signal.aborted) meter.tokenRequested(grant, thrown instanceof DelegateError ? thrown.code : OTHER);
    throw thrown;
  }
}
