import type { AttributeValue, HrTime } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';

/** Of whom the spans are: `service.name` and the like. */
export type TraceResource = Readonly<Record<string, string>>;

/** Above any host name, task id or error code. */
const MAX_TEXT_CHARS = 512;

/** `SpanKind` of the API counts from 0, that of OTLP from 1: 0 is "unspecified" there. */
const OTLP_KIND_OFFSET = 1;

/**
 * Spans as a request of OTLP/HTTP in its JSON form (opentelemetry.io/docs/specs/otlp): ids in hexadecimal, times as
 * text, enumerations as numbers. Written here rather than by `@opentelemetry/otlp-transformer`, which brings the SDKs
 * of metrics and logs for what are these few lines.
 *
 * @param scrub goes over each text, before it is cut; ids are left as they are, or nothing would fit together
 */
export function otlpTraces(
  resource: TraceResource,
  spans: readonly ReadableSpan[],
  scrub: (text: string) => string,
): string {
  const clean = (text: string): string => scrub(text).slice(0, MAX_TEXT_CHARS).toWellFormed();
  const attributes = (given: Readonly<Record<string, AttributeValue | undefined>>): unknown[] =>
    Object.entries(given).map(([key, value]) => ({ key, value: anyValue(value, clean) }));
  const [{ instrumentationScope } = { instrumentationScope: undefined }] = spans;
  return JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributes(resource) },
        scopeSpans: [
          {
            scope: { name: instrumentationScope?.name, version: instrumentationScope?.version },
            spans: spans.map((span) => {
              const { traceId, spanId, traceFlags } = span.spanContext();
              return {
                traceId,
                spanId,
                parentSpanId: span.parentSpanContext?.spanId,
                flags: traceFlags,
                name: clean(span.name),
                kind: span.kind + OTLP_KIND_OFFSET,
                startTimeUnixNano: nanoseconds(span.startTime),
                endTimeUnixNano: nanoseconds(span.endTime),
                attributes: attributes(span.attributes),
                status: { code: span.status.code },
              };
            }),
          },
        ],
      },
    ],
  });
}

function anyValue(value: AttributeValue | undefined, clean: (text: string) => string): unknown {
  if (typeof value === 'number') {
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  if (typeof value === 'boolean') return { boolValue: value };
  return { stringValue: clean(String(value)) };
}

function nanoseconds([seconds, nanos]: HrTime): string {
  return `${seconds}${String(nanos).padStart(9, '0')}`;
}
