import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { z } from 'zod';
import { listenOnLoopback } from './listen.ts';
import { until } from './until.ts';

const attributesSchema = z
  .array(
    z.strictObject({
      key: z.string(),
      value: z.union([
        z.strictObject({ stringValue: z.string() }),
        z.strictObject({ intValue: z.string().regex(/^-?\d+$/) }),
        z.strictObject({ doubleValue: z.number() }),
        z.strictObject({ boolValue: z.boolean() }),
      ]),
    }),
  )
  .transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]])));

const spanSchema = z.strictObject({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  flags: z.literal(1),
  name: z.string().min(1),
  kind: z.number().int().min(1).max(5),
  startTimeUnixNano: z.string().regex(/^\d{19}$/),
  endTimeUnixNano: z.string().regex(/^\d{19}$/),
  attributes: attributesSchema,
  status: z.strictObject({ code: z.number().int().min(0).max(2) }),
});

/** OTLP/HTTP in its JSON form: this suite's own reading of its specification. */
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes: attributesSchema }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string() }),
          spans: z.array(spanSchema).min(1),
        }),
      ),
    }),
  ),
});

export type CollectedSpan = z.infer<typeof spanSchema>;

/** `SpanKind` of OTLP. */
export const KIND = { internal: 1, client: 3, consumer: 5 } as const;
/** `Status.StatusCode` of OTLP. */
export const STATUS = { unset: 0, error: 2 } as const;

/** A collector of traces, over HTTP; it throws away what is not OTLP, and says so. */
export class TraceCollector implements AsyncDisposable {
  /** Of each request, oldest first: headers and body as they came, and what was answered. */
  readonly requests: { headers: Record<string, unknown>; path: string; body: string; status: number }[] = [];
  /** How each request is answered. The test changes it at any time. */
  answer: { status: number; headers?: Record<string, string>; body?: string } | 'never' = {
    status: 200,
    body: '{}',
  };
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        if (this.answer === 'never') return;
        const { status, headers = {}, body: answer = '' } = this.answer;
        const isOtlp = requestSchema.safeParse(JSON.parse(body)).success;
        const given = isOtlp ? status : 400;
        const { headers: received, url: path = '' } = request;
        this.requests.push({ headers: received, path, body, status: given });
        response.writeHead(given, { 'content-type': 'application/json', ...headers }).end(answer);
      });
    });
  }

  static async start(): Promise<TraceCollector> {
    const collector = new TraceCollector();
    collector.#port = await listenOnLoopback(collector.#server);
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Those that it took, in the order in which they ended. */
  get spans(): CollectedSpan[] {
    return this.#taken().flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
  }

  get resources(): Record<string, unknown>[] {
    return this.#taken().map(({ resource }) => resource.attributes);
  }

  async until(what: string, condition: (spans: CollectedSpan[]) => boolean): Promise<CollectedSpan[]> {
    await until(what, () => condition(this.spans));
    return this.spans;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #taken(): z.infer<typeof requestSchema>['resourceSpans'] {
    const taken = this.requests.filter(({ status }) => status === 200);
    return taken.flatMap(({ body }) => requestSchema.parse(JSON.parse(body)).resourceSpans);
  }
}

/** Names of spans as an indented tree, each with its outcome, error or status; brothers in the order of their ends. */
export function treeOf(spans: readonly CollectedSpan[]): string[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const below = (parent: string | undefined, depth: number): string[] =>
    spans
      .filter(({ parentSpanId }) =>
        parent === undefined ? !ids.has(parentSpanId ?? '') : parentSpanId === parent,
      )
      .flatMap(({ name, spanId, attributes }) => {
        const facts = ['delegate.task.outcome', 'http.response.status_code', 'error.type'];
        const told = facts.flatMap((fact) => (attributes[fact] === undefined ? [] : [attributes[fact]]));
        return [`${'  '.repeat(depth)}${[name, ...told].join(' ')}`, ...below(spanId, depth + 1)];
      });
  return below(undefined, 0);
}
