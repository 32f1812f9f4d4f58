import type { Socket } from 'node:net';
import { proxiesOf, dialerOf } from '../../compose/network.ts';
import type { Configuration, LoadedConfiguration } from '../../config/load.ts';
import { readIdentityFile, keysIn, type IdentityFile } from '../../delegate/state/identity-file.ts';
import { lockHolder, type LockHolder } from '../../delegate/state/lock-holder.ts';
import { visit, type Answer } from './visit.ts';
import type { Dialer } from '../../http/dialer.ts';
import type { Proxies } from '../../http/proxies.ts';
import type { Redactor } from '../../kit/secret.ts';
import type { Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Policy } from '../../policy/policy.ts';

export interface PatientOptions extends Pick<
  LoadedConfiguration,
  'configuration' | 'enrolmentToken' | 'stateKey'
> {
  readonly policy: Policy;
  /** Whence `env:` secrets come. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly log: Logger;
  /** Ends what several checks wait for. */
  readonly signal: AbortSignal;
  /** Milliseconds for one connection to the manager: less than a check has, which is to say what came of it. */
  readonly reachWithinMs: number;
}

/** What came of one connection to the manager. */
export type Reached =
  | { readonly ok: true; readonly address: string; readonly ms: number }
  | { readonly ok: false; readonly error: unknown };

/**
 * A delegate to be looked at: wired as `run` would wire it, and never started. What more than one check needs is asked
 * for once, when the first of them wants it.
 */
export class Patient {
  readonly options: PatientOptions;
  readonly managerUrl: URL;
  readonly proxies: Proxies;
  readonly dialer: Dialer;
  #reached: Promise<Reached> | undefined;
  #visited: Promise<Answer> | undefined;
  #lock: Promise<LockHolder> | undefined;
  #identity: Promise<IdentityFile | undefined> | undefined;

  constructor(options: PatientOptions) {
    this.options = options;
    const { redactor, enrolmentToken, stateKey, configuration } = options;
    this.managerUrl = new URL(configuration.managerUrl);
    for (const secret of [enrolmentToken, stateKey]) {
      if (secret !== undefined) redactor.register(secret.reveal(), { pinned: true });
    }
    this.proxies = proxiesOf(options);
    this.dialer = dialerOf(options, this.proxies);
  }

  get configuration(): Configuration {
    return this.options.configuration;
  }

  /** One connection to the manager, TLS included, closed at once. Never rejects. */
  reached(): Promise<Reached> {
    this.#reached ??= this.#reach();
    return this.#reached;
  }

  /** What the manager says to an upgrade by somebody without a key. Rejects with `manager-unreachable`. */
  visited(): Promise<Answer> {
    this.#visited ??= this.visit(VISITOR_TOKEN);
    return this.#visited;
  }

  /** What the manager says to an upgrade with this token. Rejects with `manager-unreachable`. */
  visit(token: string): Promise<Answer> {
    const { version, clock, signal } = this.options;
    const { managerUrl } = this.configuration;
    return visit({ managerUrl, dialer: this.dialer, version, clock }, token, signal);
  }

  /** Who has locked the state folder. */
  lock(): Promise<LockHolder> {
    const { clock, signal } = this.options;
    this.#lock ??= lockHolder(this.configuration.stateDir, { clock, signal });
    return this.#lock;
  }

  /** Rejects with `identity-unusable`. */
  identity(): Promise<IdentityFile | undefined> {
    this.#identity ??= this.#readIdentity();
    return this.#identity;
  }

  async #reach(): Promise<Reached> {
    const { clock, signal, reachWithinMs } = this.options;
    const startedMs = clock.monotonic();
    try {
      const { socket, proxy } = await this.dialer.open({
        url: this.managerUrl,
        guardAddress: () => {},
        signal,
        withinMs: reachWithinMs,
      });
      const address = proxy === undefined ? addressOf(socket) : `proxy ${proxy}`;
      socket.destroy();
      return { ok: true, address, ms: Math.round(clock.monotonic() - startedMs) };
    } catch (error) {
      return { ok: false, error };
    }
  }

  async #readIdentity(): Promise<IdentityFile | undefined> {
    const file = await readIdentityFile(this.configuration.stateDir);
    for (const { d } of file === undefined ? [] : keysIn(file)) {
      this.options.redactor.register(d, { pinned: true, origins: [] });
    }
    return file;
  }
}

/** No JSON Web Token at all, so that no manager can take it for anybody's: it is never more than a visit. */
const VISITOR_TOKEN = 'doctor';

function addressOf(socket: Socket): string {
  return socket.remoteAddress ?? 'unknown';
}
