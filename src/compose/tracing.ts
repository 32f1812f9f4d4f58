import { labelOf } from '../config/leaves.ts';
import { ConfigurationError } from '../config/load.ts';
import type { TracesConfiguration } from '../config/traces.ts';
import { HttpClient } from '../http/client.ts';
import type { Dialer } from '../http/dialer.ts';
import { Fresh } from '../http/fresh.ts';
import { systemCode } from '../kit/errors.ts';
import type { Redactor } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { collector } from '../observability/tracing/collector.ts';
import {
  loadOpenTelemetry,
  openTelemetryTracer,
  type OpenTelemetry,
} from '../observability/tracing/open-telemetry.ts';
import { SpanQueue } from '../observability/tracing/span-queue.ts';
import { tracingOff, type Tracer } from '../observability/tracing/tracer.ts';
import { assertSecretsStay } from '../policy/secret-bounds.ts';
import { userAgentOf } from './network.ts';
import { parseHeaders } from './trace-headers.ts';

/** A collector says hardly anything. */
const MAX_ANSWER_BYTES = 65_536;
/** It is near, or it is away; spans wait meanwhile. */
const ANSWER_WITHIN_MS = 10_000;

const PACKAGES = ['@opentelemetry/api', '@opentelemetry/sdk-trace'];

export interface TracingOptions {
  traces: TracesConfiguration | undefined;
  /** Of the delegate. */
  name: string;
  version: string;
  /** The one way out. */
  dialer: Pick<Dialer, 'open'>;
  metrics: Pick<Metrics, 'spansLost'>;
  redactor: Redactor;
  clock: Clock;
  random: () => number;
  log: Logger;
  /** In tests, the packages as they are not. */
  load?: () => Promise<OpenTelemetry>;
}

/**
 * Traces as the operator wants them. Rejects with a `ConfigurationError` if they are wanted and the packages are not
 * there, and with `network.file-unusable` for a file of headers that is of no use.
 */
export async function composeTracing(options: TracingOptions): Promise<Tracer> {
  const { traces, name, version, dialer, metrics, redactor, clock, random, log } = options;
  if (traces === undefined) return tracingOff;
  const packages = await installed(options.load ?? loadOpenTelemetry);
  const { endpoint, headersFile, sampleRatio } = traces;
  const url = new URL(endpoint);
  const headers = headersOf(headersFile, url, options);
  await headers();
  // The address is the operator's own word, so that loopback may be one.
  const http = new HttpClient({
    dialer,
    guardUrl: () => {},
    guardRequest: (exchange) => assertSecretsStay(exchange, redactor),
    guardAddress: () => {},
    userAgent: userAgentOf(version),
    maxBodyBytes: MAX_ANSWER_BYTES,
    answerTimeoutMs: ANSWER_WITHIN_MS,
  });
  const deliver = collector({
    url,
    resource: {
      ...traces.attributes,
      'service.name': traces.serviceName,
      'service.version': version,
      'service.instance.id': name,
    },
    headers,
    send: http.send,
    scrub: (text) => redactor.scrub(text),
  });
  const processor = new SpanQueue({ deliver, metrics, clock, random, log });
  const tracer = openTelemetryTracer(packages, { version, sampleRatio, processor });
  log.info({ endpoint, sampleRatio }, 'tasks are traced');
  return {
    task: (task) => tracer.task(task),
    async [Symbol.asyncDispose]() {
      await tracer[Symbol.asyncDispose]();
      await http[Symbol.asyncDispose]();
    },
  };
}

async function installed(load: () => Promise<OpenTelemetry>): Promise<OpenTelemetry> {
  try {
    return await load();
  } catch (thrown) {
    const code = systemCode(thrown);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw thrown;
    throw new ConfigurationError(
      [`${labelOf('traces.endpoint')}: traces need packages that are not installed: ${PACKAGES.join(', ')}`],
      `Use an image or a bundle that was built with them (CLOUD_CLIENTS=include); a delegate that runs from its packages takes them beside the others: npm install ${PACKAGES.join(' ')}. Or go without traces.`,
    );
  }
}

/** As they are now; what they hold may go to the collector and nowhere else. */
function headersOf(
  path: string | undefined,
  { origin }: URL,
  { redactor, clock, log }: TracingOptions,
): () => Promise<Readonly<Record<string, string>>> {
  if (path === undefined) return () => Promise.resolve({});
  const fresh = new Fresh({
    what: `the headers for the trace collector (${labelOf('traces.headersFile')})`,
    paths: [path],
    make: ([text = '']) => {
      const headers = parseHeaders(text);
      for (const value of Object.values(headers)) {
        // Whoever repeats a credential may leave away the scheme before it.
        for (const secret of new Set([value, value.slice(value.indexOf(' ') + 1)])) {
          redactor.register(secret, { pinned: true, origins: [origin] });
        }
      }
      return headers;
    },
    clock,
    log,
  });
  return () => fresh.current();
}
