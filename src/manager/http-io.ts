import type { IncomingMessage, ServerResponse } from 'node:http';
import { DelegateError } from '../kit/errors.ts';
import { MAX_JSON_DEPTH } from '../protocol/limits.ts';

/** An HTTP answer that is an error, with a text for whoever sent the request. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { hint?: string; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = more.hint;
    this.headers = more.headers ?? {};
  }

  get body(): ErrorBody {
    const { code, message, hint } = this;
    return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
}

interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** What the scheduler and its neighbours throw, in the words of HTTP; undefined for a defect. */
export function toHttpProblem(thrown: unknown): HttpProblem | undefined {
  if (thrown instanceof HttpProblem) return thrown;
  if (!(thrown instanceof DelegateError)) return undefined;
  const status = STATUS_BY_CATEGORY[thrown.category];
  if (status === undefined) return undefined;
  return new HttpProblem(status, thrown.code, thrown.message, {
    ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
    headers: status === 503 ? { 'retry-after': '5' } : {},
  });
}

const STATUS_BY_CATEGORY: Partial<Record<DelegateError['category'], number>> = {
  'invalid-input': 400,
  'not-found': 404,
  refused: 409,
  unavailable: 503,
};

/**
 * The JSON body of a request.
 *
 * @throws HttpProblem 415 for another media type, 413 over the limit, 400 for what is not JSON or too deep
 */
export async function readJson(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new HttpProblem(415, 'unsupported-media-type', 'The body must be application/json.');
  }
  const tooLarge = new HttpProblem(413, 'body-too-large', `The body may have ${limitBytes} bytes at most.`, {
    // What is left of the body is not read, so the connection can't carry another request.
    headers: { connection: 'close' },
  });
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed on the way out: the socket still has to carry the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('a request without encoding yields buffers');
    bytes += chunk.byteLength;
    if (bytes > limitBytes) throw tooLarge;
    chunks.push(chunk);
  }
  const body = parseJson(Buffer.concat(chunks));
  if (isDeeperThan(MAX_JSON_DEPTH, body)) {
    throw new HttpProblem(400, 'too-deep', `The body may nest ${MAX_JSON_DEPTH} levels deep at most.`);
  }
  return body;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new HttpProblem(400, 'not-json', 'The body is not JSON in UTF-8.');
  }
}

/** Level by level rather than by recursion: the readers after this one recurse, and rely on it. */
function isDeeperThan(limit: number, value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = status === 204 ? '' : JSON.stringify(body);
  response.writeHead(status, {
    ...(status === 204 ? {} : { 'content-type': 'application/json; charset=utf-8' }),
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(text);
}

/** The token of `Authorization: Bearer …`; the scheme's case does not matter (RFC 9110, section 11.1). */
export function bearerToken(request: IncomingMessage): string | undefined {
  return /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1];
}
