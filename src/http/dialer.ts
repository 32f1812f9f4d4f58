import { isIP, type Socket } from 'node:net';
import type { DelegateError } from '../kit/errors.ts';
import { untilAborted } from '../kit/flow.ts';
import { bareHostname } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import { portOf, type Proxies, type Proxy } from './proxies.ts';
import { shownCertificates, type ShownCertificates } from './shown-certificates.ts';
import { codedError, connectTcp, startTls, systemLookup, type Lookup } from './sockets.ts';
import { proxyError, transportError } from './transport-error.ts';
import type { Trust } from './trust.ts';
import { askForTunnel, isAboutCredentials, judgeAnswer } from './tunnel.ts';

/** For a connection as a whole: the proxy, the tunnel and TLS included. */
const OPEN_WITHIN_MS = 10_000;

export interface DialRequest {
  /** Where to: scheme, host and port count. `https:` is TLS. */
  readonly url: URL;
  /**
   * Throws for an address that must not be connected to. Asked of an address in the URL, and of those that its name
   * resolves to; not behind a proxy, which resolves names by itself.
   */
  readonly guardAddress: (address: string) => void;
  readonly signal: AbortSignal;
  /** Milliseconds for all of it; 10 s unless given. */
  readonly withinMs?: number | undefined;
  /** DNS of the system, unless given. */
  readonly lookup?: Lookup | undefined;
}

/** A connection that is ready for HTTP, and now belongs to whoever asked for it. */
export interface Dialled {
  readonly socket: Socket;
  /** host:port of the proxy that it goes through. */
  readonly proxy: string | undefined;
}

/** What a proxy gave: a tunnel, or a no. */
type Asked = { socket: Socket; refusal?: never } | { socket?: never; refusal: DelegateError };

/**
 * Makes every connection that leaves the delegate: to the manager, to token servers, to ServiceNow, to secret stores.
 * One place for proxies, for authorities and client certificates, for address rules, and for what is said of a failure,
 * so that no way out can forget what another one heeds.
 */
export class Dialer {
  readonly #proxies: Pick<Proxies, 'for'>;
  readonly #trust: Pick<Trust, 'contextFor'>;

  constructor({ proxies, trust }: { proxies: Pick<Proxies, 'for'>; trust: Pick<Trust, 'contextFor'> }) {
    this.#proxies = proxies;
    this.#trust = trust;
  }

  /** Rejects with an error of the transport (`network.*`, `tls.*`), with what a guard threw, or with the signal's reason. */
  async open(request: DialRequest): Promise<Dialled> {
    const { url, signal, withinMs = OPEN_WITHIN_MS } = request;
    signal.throwIfAborted();
    const attempt = new AbortController();
    const onAbort = (): void => attempt.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const overdue = setTimeout(() => attempt.abort(codedError('ETIMEDOUT', 'took too long')), withinMs);
    try {
      const { socket, proxy } = await this.#openBelowTls(request, attempt.signal);
      const secured = url.protocol === 'https:' ? await this.#secure(socket, url, attempt.signal) : socket;
      return { socket: secured, proxy };
    } catch (thrown) {
      signal.throwIfAborted();
      throw transportError(thrown, url);
    } finally {
      clearTimeout(overdue);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * What a server shows when TLS is begun with it on the way that `open` takes: for a person, who is to see why it is not
   * believed. Nothing is sent to it, and no client certificate is shown. Rejects as `open` does.
   */
  async lookAtCertificates({ url, signal, ...request }: DialRequest): Promise<ShownCertificates> {
    try {
      // That of no origin: a client certificate belongs to one.
      const secureContext = await untilAborted(this.#trust.contextFor(''), signal);
      const { socket } = await this.#openBelowTls({ url, signal, ...request }, signal);
      return await shownCertificates(socket, { hostname: bareHostname(url), secureContext }, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw transportError(thrown, url);
    }
  }

  async #openBelowTls(request: DialRequest, signal: AbortSignal): Promise<Dialled> {
    const { url } = request;
    const hostname = bareHostname(url);
    if (isIP(hostname) !== 0) request.guardAddress(hostname);
    const proxy = this.#proxies.for(url);
    if (proxy === undefined) return { socket: await openDirect(request, signal), proxy: undefined };
    return { socket: await this.#openThrough(proxy, url, signal), proxy: proxy.url.host };
  }

  async #secure(socket: Socket, url: URL, signal: AbortSignal): Promise<Socket> {
    try {
      const secureContext = await untilAborted(this.#trust.contextFor(url.origin), signal);
      return await startTls(socket, { hostname: bareHostname(url), secureContext }, signal);
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    }
  }

  /**
   * Credentials that the proxy does not accept are read again, and tried again if they are others: whoever replaced
   * them did so a moment ago. The same ones are not, because that is how accounts are locked.
   */
  async #openThrough(proxy: Proxy, url: URL, signal: AbortSignal): Promise<Socket> {
    const credentials = await untilAborted(proxy.credentials(), signal);
    const first = await this.#askProxy(proxy, url, credentials, signal);
    if (first.socket !== undefined) return first.socket;
    if (!isAboutCredentials(first.refusal)) throw first.refusal;
    const renewed = await untilAborted(proxy.credentials({ now: true }), signal);
    if (renewed === undefined || renewed.reveal() === credentials?.reveal()) throw first.refusal;
    const second = await this.#askProxy(proxy, url, renewed, signal);
    if (second.socket !== undefined) return second.socket;
    throw second.refusal;
  }

  async #askProxy(
    proxy: Proxy,
    url: URL,
    credentials: Secret | undefined,
    signal: AbortSignal,
  ): Promise<Asked> {
    const request = { target: `${url.hostname}:${portOf(url)}`, credentials };
    const socket = await this.#connectProxy(proxy.url, signal);
    try {
      const answer = await askForTunnel(socket, request, signal);
      const refusal = judgeAnswer(answer, request, proxy.url.host);
      if (refusal === undefined) return { socket };
      socket.destroy();
      return { refusal };
    } catch (thrown) {
      socket.destroy();
      const isLate = signal.aborted;
      throw proxyError(thrown, proxy.url, isLate ? 'did not open a tunnel in time' : 'closed the connection');
    }
  }

  async #connectProxy(url: URL, signal: AbortSignal): Promise<Socket> {
    try {
      const hostname = bareHostname(url);
      // The operator's own word: no rule for the targets of tasks holds for it.
      const target = { hostname, port: portOf(url), lookup: systemLookup, guardAddress: () => {} };
      const socket = await connectTcp(target, signal);
      return url.protocol === 'https:' ? await this.#secure(socket, url, signal) : socket;
    } catch (thrown) {
      throw proxyError(thrown, url);
    }
  }
}

async function openDirect(request: DialRequest, signal: AbortSignal): Promise<Socket> {
  const { url, guardAddress, lookup = systemLookup } = request;
  return await connectTcp({ hostname: bareHostname(url), port: portOf(url), lookup, guardAddress }, signal);
}
