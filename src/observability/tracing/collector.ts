import { z } from 'zod';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { wrap } from '../../kit/errors.ts';
import { retryAfterMs, type HttpResponse, type HttpSend } from '../../kit/http-exchange.ts';
import { otlpTraces, type TraceResource } from './otlp.ts';

/** What has become of a batch of spans. */
export type Delivery =
  | { readonly is: 'taken'; readonly rejected: number }
  /** Worth another try; `waitMs` if the collector has said when. */
  | { readonly is: 'later'; readonly code: string; readonly waitMs: number | undefined }
  | { readonly is: 'refused'; readonly code: string };

/** Takes spans to where they are looked at; never rejects. */
export type Deliver = (spans: readonly ReadableSpan[], signal: AbortSignal) => Promise<Delivery>;

export interface CollectorOptions {
  readonly url: URL;
  readonly resource: TraceResource;
  /** May hold a credential; asked before each request, because it may change. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  readonly send: HttpSend;
  readonly scrub: (text: string) => string;
}

/** By OTLP/HTTP; whatever else is refused for good. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const answerSchema = z.object({
  partialSuccess: z.object({ rejectedSpans: z.coerce.number().int().nonnegative() }),
});

/** A collector that speaks OTLP over HTTP, which any of them does. */
export function collector({ url, resource, headers, send, scrub }: CollectorOptions): Deliver {
  return async (spans, signal) => {
    try {
      const response = await send({
        method: 'POST',
        url,
        headers: { ...(await headers()), 'content-type': 'application/json' },
        body: otlpTraces(resource, spans, scrub),
        signal,
      });
      return judge(response, spans.length);
    } catch (thrown) {
      if (signal.aborted) return { is: 'later', code: 'aborted', waitMs: undefined };
      const { code, category } = wrap(thrown);
      // Sent again, it would be the same request: no proxy or network has refused it, but our own rules.
      return category === 'policy' ? { is: 'refused', code } : { is: 'later', code, waitMs: undefined };
    }
  };
}

function judge(response: HttpResponse, sent: number): Delivery {
  const { status, headers } = response;
  if (status >= 200 && status < 300) return { is: 'taken', rejected: Math.min(sent, rejectedBy(response)) };
  const code = `http-${status}`;
  if (!RETRYABLE.has(status)) return { is: 'refused', code };
  return { is: 'later', code, waitMs: retryAfterMs(headers) };
}

/** Most answer with an empty object, and some with nothing: then all were taken. */
function rejectedBy({ body }: HttpResponse): number {
  try {
    const parsed = answerSchema.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data.partialSuccess.rejectedSpans : 0;
  } catch {
    // Not JSON: the status has said what there is to know.
    return 0;
  }
}
