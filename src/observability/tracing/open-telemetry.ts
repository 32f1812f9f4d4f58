import type * as Api from '@opentelemetry/api';
import type * as Sdk from '@opentelemetry/sdk-trace';
import { wrap } from '../../kit/errors.ts';
import { bareHostname, type HttpSend } from '../../kit/http-exchange.ts';
import { parseTraceparent, traceparentOf } from './trace-parent.ts';
import type { TaskSpan, Tracer } from './tracer.ts';

const SCOPE = 'servicenow-delegate';
/** The most that a span of ours has. Values are not cut here: that comes after scrubbing (`otlpTraces`). */
const LIMITS = { attributeCountLimit: 16, eventCountLimit: 0, linkCountLimit: 0 };

/** The packages that make spans; optional, and loaded only when traces are wanted. */
export type OpenTelemetry = Awaited<ReturnType<typeof loadOpenTelemetry>>;

/** Rejects as `import` does, where they are not installed. */
export async function loadOpenTelemetry(): Promise<{
  readonly api: typeof Api;
  readonly sdk: typeof Sdk;
}> {
  const [api, sdk] = await Promise.all([import('@opentelemetry/api'), import('@opentelemetry/sdk-trace')]);
  return { api, sdk };
}

export interface TracerOptions {
  readonly version: string;
  /** Share of the traces that begin here to be recorded, from 0 to 1. Of the manager's own, the manager decides. */
  readonly sampleRatio: number;
  /** Where ended spans go; ended with the tracer. */
  readonly processor: Sdk.SpanProcessor;
}

/**
 * A span for each task and for each of its steps. No text of a ticket, no secret and no query is an attribute of any;
 * that an instance or a token server was called is, by its host name, which the delegate's own log and audit name too.
 *
 * Nothing is registered globally: whatever else in the process speaks OpenTelemetry, speaks for itself.
 */
export function openTelemetryTracer({ api, sdk }: OpenTelemetry, options: TracerOptions): Tracer {
  const { version, sampleRatio, processor } = options;
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = api;
  const provider = new sdk.TracerProvider({
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(sampleRatio) }),
    spanLimits: LIMITS,
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer(SCOPE, version);

  /** The code is all that is said of an error: its message may quote anybody. */
  const fail = (span: Api.Span, code: string): void => {
    span.setAttribute('error.type', code);
    span.setStatus({ code: SpanStatusCode.ERROR });
  };

  const send = async (
    step: string,
    within: Api.Context,
    real: HttpSend,
    request: Request,
  ): Promise<Response> => {
    const { method, url, headers, signal } = request;
    const attributes: Api.Attributes = {
      'http.request.method': method,
      'server.address': bareHostname(url),
      ...(url.port === '' ? {} : { 'server.port': Number(url.port) }),
    };
    const span = tracer.startSpan(step, { kind: SpanKind.CLIENT, attributes }, within);
    const { traceId, spanId, traceFlags: flags } = span.spanContext();
    try {
      const traceparent = traceparentOf({ traceId, spanId, flags });
      const response = await real({ ...request, headers: { ...headers, traceparent } });
      span.setAttribute('http.response.status_code', response.status);
      if (response.status >= 400) fail(span, String(response.status));
      return response;
    } catch (thrown) {
      fail(span, signal.aborted ? 'aborted' : wrap(thrown).code);
      throw thrown;
    } finally {
      span.end();
    }
  };

  return {
    task({ taskId, attempt, name, traceparent }): TaskSpan {
      const parent = parseTraceparent(traceparent);
      const outside =
        parent === undefined
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, { ...parent, traceFlags: parent.flags, isRemote: true });
      const attributes = {
        'delegate.task.id': taskId,
        'delegate.task.attempt': attempt,
        'delegate.task.name': name,
      };
      const span = tracer.startSpan(`task ${name}`, { kind: SpanKind.CONSUMER, attributes }, outside);
      const within = trace.setSpan(ROOT_CONTEXT, span);
      return {
        sending: (step, real) => (request) => send(step, within, real, request),
        async during(step, work) {
          const part = tracer.startSpan(step, {}, within);
          try {
            return await work();
          } catch (thrown) {
            fail(part, wrap(thrown).code);
            throw thrown;
          } finally {
            part.end();
          }
        },
        end(ending) {
          if (!span.isRecording()) return;
          span.setAttribute('delegate.task.outcome', ending?.outcome ?? 'discarded');
          if (ending?.code !== undefined) fail(span, ending.code);
          span.end();
        },
      };
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}

type Request = Parameters<HttpSend>[0];
type Response = Awaited<ReturnType<HttpSend>>;
