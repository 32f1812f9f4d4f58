import type { Socket } from 'node:net';
import { TLSSocket, type PeerCertificate } from 'node:tls';
import { TextDecoder } from 'node:util';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import type { buildConnector } from 'undici';
import Agent from 'undici/lib/dispatcher/agent.js';
import type { ConnectionFacts, HttpRequest, HttpResponse } from '../kit/http-exchange.ts';
import { toTimestamp } from '../kit/time.ts';
import type { Dialled, Dialer } from './dialer.ts';
import { httpError } from './errors.ts';
import { exchange } from './exchange.ts';
import type { Lookup } from './sockets.ts';
import { transportError } from './transport-error.ts';

const ANSWER_TIMEOUT_MS = 30_000;
export const MAX_BODY_BYTES = 16 * 1_048_576;
/** Sockets to one origin. Above what one connector may use at once (4), so that two connectors don't queue. */
const MAX_CONNECTIONS_PER_ORIGIN = 16;
/** An idle socket is given up before the usual load balancer would cut it. */
const KEEP_ALIVE_MS = 20_000;

export interface HttpClientOptions {
  /** The one way out of the delegate: proxies, authorities, client certificates. */
  dialer: Pick<Dialer, 'open'>;
  /** Throws for a URL that must not be called; asked with the very object that is sent, and before a probe. */
  guardUrl: (url: URL) => void;
  /** Throws for a request that must not be sent as it is: asked after `guardUrl`, with what will be sent. */
  guardRequest: (exchange: HttpRequest) => void;
  /** Throws for an address that a host name resolved to. */
  guardAddress: (address: string) => void;
  userAgent: string;
  /** DNS of the system, unless given. */
  lookup?: Lookup;
  /** Shortened in tests. */
  connectTimeoutMs?: number;
  answerTimeoutMs?: number;
  maxBodyBytes?: number;
}

/**
 * HTTP for tasks, and for enrolment: TLS verified against the host name, no redirect followed, no cookie kept, bodies
 * capped, one keep-alive pool for an origin. `Authorization` goes to the URL's origin and nowhere else because
 * nothing here ever makes a second request out of a first one's answer.
 */
export class HttpClient implements AsyncDisposable {
  readonly #options: HttpClientOptions;
  readonly #agent: Agent;
  /** Connections that are being made; the pool knows of them only when they stand. */
  readonly #attempts = new Set<AbortController>();

  constructor(options: HttpClientOptions) {
    this.#options = options;
    const answerTimeoutMs = options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
    this.#agent = new Agent({
      connect: ({ protocol, host, hostname }, done) => {
        void this.#connect(new URL(`${protocol}//${host ?? hostname}`), done);
      },
      connections: MAX_CONNECTIONS_PER_ORIGIN,
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
      maxResponseSize: options.maxBodyBytes ?? MAX_BODY_BYTES,
    });
  }

  /** See `HttpSend`. */
  readonly send = async (request: HttpRequest): Promise<HttpResponse> => {
    const { url, method, signal, body } = request;
    signal.throwIfAborted();
    this.#options.guardUrl(url);
    this.#options.guardRequest(request);
    const headers = {
      'user-agent': this.#options.userAgent,
      'accept-encoding': 'identity',
      ...request.headers,
    };
    try {
      const { origin, pathname, search } = url;
      const asked = { origin, path: pathname + search, method, headers, body: body ?? null };
      const answer = await exchange(this.#agent, asked, signal);
      const flat = flatten(answer.headers);
      const text = textOf(this.#unpack(answer.body, flat, url), flat);
      return { status: answer.status, headers: flat, body: text };
    } catch (thrown) {
      signal.throwIfAborted();
      throw transportError(thrown, url);
    }
  };

  /** Opens a connection the very way `send` does, looks at it, and closes it. */
  async probe(url: URL, signal: AbortSignal): Promise<ConnectionFacts> {
    signal.throwIfAborted();
    this.#options.guardUrl(url);
    try {
      return factsOf(await this.#open(url, signal));
    } catch (thrown) {
      signal.throwIfAborted();
      throw transportError(thrown, url);
    }
  }

  /** Ends every socket: idle, busy, or still being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#agent.destroy();
    for (const attempt of this.#attempts) attempt.abort();
    await ended;
  }

  /** A connection as undici asks for one. */
  async #connect(url: URL, done: buildConnector.Callback): Promise<void> {
    let socket: Socket;
    try {
      ({ socket } = await this.#open(url));
    } catch (thrown) {
      done(asError(thrown), null);
      return;
    }
    done(null, socket);
  }

  /** A connection that is given up with the client, or with the signal. */
  async #open(url: URL, signal?: AbortSignal): Promise<Dialled> {
    const { dialer, guardAddress, lookup, connectTimeoutMs } = this.#options;
    const attempt = new AbortController();
    const giveUp = (): void => attempt.abort(signal?.reason);
    this.#attempts.add(attempt);
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      return await dialer.open({
        url,
        guardAddress,
        signal: attempt.signal,
        withinMs: connectTimeoutMs,
        lookup,
      });
    } finally {
      this.#attempts.delete(attempt);
      signal?.removeEventListener('abort', giveUp);
    }
  }

  /** We ask for no encoding, so only a server that doesn't listen comes here; its bytes count unpacked as well. */
  #unpack(bytes: Buffer, headers: Readonly<Record<string, string>>, { host }: URL): Buffer {
    const maxOutputLength = this.#options.maxBodyBytes ?? MAX_BODY_BYTES;
    const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (bytes.length === 0) return bytes;
    switch (encoding) {
      case 'identity':
      case '':
        return bytes;
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(bytes, { maxOutputLength });
      case 'deflate':
        return inflateSync(bytes, { maxOutputLength });
      case 'br':
        return brotliDecompressSync(bytes, { maxOutputLength });
      default:
        // Not named: a header of a stranger may hold anything, in small letters a secret that nobody finds again.
        throw httpError('http.broken-response', `${host} packed its answer in a way that nobody asked for.`, {
          retryable: false,
          hint: 'Look for what compresses answers on the way, and have it heed Accept-Encoding.',
          details: { host },
        });
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error('the connection was given up', { cause: thrown });
}

/**
 * In the character set that the answer names, or else in UTF-8: a letter that is misread would also hide a secret from
 * whoever masks it.
 */
function textOf(bytes: Buffer, headers: Readonly<Record<string, string>>): string {
  const label = /;\s*charset\s*=\s*"?([^\s";,]+)/i.exec(headers['content-type'] ?? '')?.[1] ?? 'utf-8';
  return decoderOf(label).decode(bytes);
}

function decoderOf(label: string): TextDecoder {
  try {
    return new TextDecoder(label);
  } catch {
    // No such character set: what nearly everybody means is the best guess.
    return new TextDecoder();
  }
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}

/** What the socket shows; it is closed in any case. */
function factsOf({ socket, proxy }: Dialled): ConnectionFacts {
  try {
    return {
      // Behind a proxy, the proxy alone knows.
      address: proxy === undefined ? (socket.remoteAddress ?? 'unknown') : `proxy ${proxy}`,
      tls: socket instanceof TLSSocket ? tlsFacts(socket) : undefined,
    };
  } finally {
    socket.destroy();
  }
}

function tlsFacts(socket: TLSSocket): NonNullable<ConnectionFacts['tls']> {
  const certificate = socket.getPeerCertificate();
  return {
    protocol: socket.getProtocol() ?? 'unknown',
    subject: nameOf(certificate.subject, certificate.subjectaltname),
    issuer: nameOf(certificate.issuer),
    validTo: toTimestamp(Date.parse(certificate.valid_to)),
  };
}

/** Many issuers give no common name any more: the alternative names say whose certificate it is. */
function nameOf({ CN, O }: PeerCertificate['subject'], altNames?: string): string {
  const name = [CN, altNames?.replaceAll('DNS:', ''), O].find((one) => one !== undefined && one.length > 0);
  return [name ?? 'unnamed'].flat().join(', ');
}
