import { bareHostname } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import { Fresh, type FreshLog } from './fresh.ts';
import { isBypassed, isNearby, parseBypassList, type BypassList } from './no-proxy.ts';

/** A proxy as the operator named it. */
export interface ProxySetting {
  /** `http:` or `https:` (how the delegate speaks to the proxy itself), without credentials. */
  readonly url: URL;
  /** `user:password` that stood in the URL. */
  readonly credentials: Secret | undefined;
}

export interface ProxiesOptions {
  /** For `https:` and for `http:` targets. */
  https: ProxySetting | undefined;
  http: ProxySetting | undefined;
  /** As `NO_PROXY`. */
  bypass: string;
  /** Holds `user:password` for the proxies above; comes before what stood in their URLs. */
  credentialsFile: string | undefined;
  /**
   * What the customer's policy says of an origin: `direct`, the address of a proxy, or nothing. It comes before
   * everything else, loopback and exceptions included.
   */
  proxyFor: (origin: string) => string | undefined;
  /** Told of each value that must not be printed, and to which origins it may go. */
  protect: (value: string, origins: readonly string[]) => Secret;
  clock: Clock;
  log: FreshLog & { warn(fields: Record<string, unknown>, message: string): void };
}

/** The way through one proxy. */
export interface Proxy {
  readonly url: URL;
  /**
   * `user:password`, if there are any for this proxy.
   *
   * @param now as they are on the disk at this moment
   */
  credentials(options?: { now?: boolean }): Promise<Secret | undefined>;
}

/**
 * Why a connection takes its way: the policy says so, the settings name a proxy or none, the settings make an exception
 * (`NO_PROXY`), or no proxy leads to where it goes (`isNearby`).
 */
export type WayReason = 'policy' | 'settings' | 'no-proxy-set' | 'exception' | 'nearby';

export interface Way {
  /** Undefined: straight to the host. */
  readonly proxy: Proxy | undefined;
  readonly because: WayReason;
}

/** Which way a connection takes. */
export class Proxies {
  readonly #options: ProxiesOptions;
  readonly #bypass: BypassList;
  readonly #file: Fresh<Secret> | undefined;

  constructor(options: ProxiesOptions) {
    this.#options = options;
    const { credentialsFile, bypass, log, clock } = options;
    this.#bypass = parseBypassList(bypass);
    const { misread } = this.#bypass;
    if (misread.length > 0) {
      log.warn(
        { entries: misread },
        'entries of the proxy exceptions (NO_PROXY) mean nothing and are passed over',
      );
    }
    if (credentialsFile !== undefined) {
      this.#file = new Fresh({
        what: 'The proxy credentials (DELEGATE_PROXY_CREDENTIALS_FILE)',
        paths: [credentialsFile],
        make: ([text = '']) => this.#protected(readProxyCredentials(text)),
        clock,
        log,
      });
    }
    for (const setting of this.#settings()) {
      if (setting.credentials !== undefined) this.#protected(setting.credentials.reveal());
    }
  }

  /** Undefined: straight to the host. */
  for(target: URL): Proxy | undefined {
    return this.wayTo(target).proxy;
  }

  /** The same, with the reason. */
  wayTo(target: URL): Way {
    const decided = this.#options.proxyFor(target.origin);
    if (decided === 'direct') return { proxy: undefined, because: 'policy' };
    if (decided !== undefined) return { proxy: this.#at(new URL(decided)), because: 'policy' };
    const setting = target.protocol === 'https:' ? this.#options.https : this.#options.http;
    const hostname = bareHostname(target);
    if (setting === undefined) return { proxy: undefined, because: 'no-proxy-set' };
    if (isNearby(hostname)) return { proxy: undefined, because: 'nearby' };
    if (isBypassed(this.#bypass, { hostname, port: portOf(target) })) {
      return { proxy: undefined, because: 'exception' };
    }
    return { proxy: this.#at(setting.url), because: 'settings' };
  }

  /** Credentials belong to the proxies that the settings name; another one of the policy's gets none of them. */
  #at(url: URL): Proxy {
    const setting = this.#settings().find((one) => one.url.origin === url.origin);
    if (setting === undefined) return { url, credentials: () => Promise.resolve(undefined) };
    return {
      url,
      credentials: async (options) => (await this.#file?.current(options)) ?? setting.credentials,
    };
  }

  #settings(): readonly ProxySetting[] {
    return [this.#options.https, this.#options.http].filter((one) => one !== undefined);
  }

  /** The whole, which is what is sent, and the password alone, which is what somebody else may quote. */
  #protected(credentials: string): Secret {
    const origins = this.#settings().map(({ url }) => url.origin);
    this.#options.protect(credentials.slice(credentials.indexOf(':') + 1), origins);
    return this.#options.protect(credentials, origins);
  }
}

/** `user:password` in one line. Throws for anything else, without a word of it. */
function readProxyCredentials(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  if (!/^[^:\p{Cc}]+:[^\p{Cc}]*$/u.test(line))
    throw new Error('the file must hold user:password in one line');
  return line;
}

/** The port that a URL means. */
export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
