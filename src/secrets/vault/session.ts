import { DelegateError, reasonOf } from '../../kit/errors.ts';
import type { Secret } from '../../kit/secret.ts';
import type { Timer } from '../../kit/time.ts';
import type { StorePorts } from '../provider.ts';
import { ShortMemory } from '../short-memory.ts';
import type { VaultSettings } from '../store-settings.ts';
import type { VaultAnswer, VaultApi, VaultCall } from './api.ts';
import {
  isAlive,
  logIn,
  lookUp,
  readCredential,
  renew,
  tokenRefused,
  vaultCredentials,
  type VaultCredentials,
  type VaultGrant,
} from './login.ts';

/** When of a lease it is renewed, and when it is no longer counted on: what is sent takes a while. */
const RENEW_AT = 2 / 3;
const USABLE_UNTIL = 9 / 10;
/** A lease that has come so near to the token's last end is not renewed again. */
const MIN_RENEWED_LEASE_MS = 10_000;
/** After a renewal that failed on the way. */
const RENEW_AGAIN_MS = 10_000;

/**
 * The same credentials are not tried again for so long once they were refused: Vault locks a role out after five
 * failures (user lockout, since 1.13), and every task would be one.
 */
const REFUSED_FOR_MS = 60_000;

/**
 * A token that no policy lets look itself up seems dead wherever it is refused. Once another one has seemed so, too, none
 * is had for so long: whoever names paths that the delegate may not read would spend a login with each.
 */
const NO_OTHER_FOR_MS = 60_000;

const TOKEN_FILE = 'DELEGATE_VAULT_TOKEN_FILE';

interface Held extends VaultGrant {
  /** Monotonic. */
  readonly usableUntil: number;
}

export interface VaultSessionOptions {
  readonly settings: VaultSettings;
  readonly api: VaultApi;
  readonly protect: (value: string) => Secret;
  readonly ports: StorePorts;
}

/**
 * The token that requests are made with. One login for all who wait; renewed before its lease ends, so that an AppRole
 * whose secret id has a number of uses spends one of them; had anew when the server no longer knows it.
 */
export class VaultSession implements AsyncDisposable {
  readonly #options: VaultSessionOptions;
  /** For one login at a time, with a deadline; what it gave is kept here. */
  readonly #logins: ShortMemory<Held>;
  readonly #end = new AbortController();
  #held: Held | undefined;
  #renewal: Timer | undefined;
  #renewing: Promise<void> = Promise.resolve();
  /** Monotonic. */
  #noOtherUntil = Number.NEGATIVE_INFINITY;
  #refused:
    { readonly credentials: string; readonly until: number; readonly error: DelegateError } | undefined;

  constructor(options: VaultSessionOptions) {
    this.#options = options;
    const { clock } = options.ports;
    this.#logins = new ShortMemory({ store: 'Vault', clock, keepMs: 0 });
  }

  /**
   * Makes a call with the token. Where that is refused and turns out to be no token any more, once again with another.
   */
  async call(call: Omit<VaultCall, 'token'>): Promise<VaultAnswer> {
    const { api, ports, settings } = this.#options;
    const first = await this.#current(call.signal);
    const answer = await api({ ...call, token: first.token });
    if (answer.status !== 403 || ports.clock.monotonic() < this.#noOtherUntil) return answer;
    // A token that lives was refused this path alone: another login would spend a secret id, and be refused as well.
    if (await isAlive(api, first.token, call.signal)) return answer;
    this.#drop(first);
    const second = await this.#current(call.signal);
    const again = await api({ ...call, token: second.token });
    if (again.status !== 403 || (await isAlive(api, second.token, call.signal))) return again;
    if (settings.login.method === 'token') throw tokenRefused(again.words);
    this.#noOtherUntil = ports.clock.monotonic() + NO_OTHER_FOR_MS;
    return again;
  }

  /** Resolves when nothing is under way. The token is left to its lease: other delegates may share it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the delegate is ending'));
    this.#renewal?.cancel();
    await this.#logins[Symbol.asyncDispose]();
    await this.#renewing;
  }

  async #current(signal: AbortSignal): Promise<Held> {
    const held = this.#held;
    if (held !== undefined && !this.#hasEnded(held) && !(await this.#isReplaced(held))) return held;
    return await this.#logins.get('token', signal, async (within) => ({
      value: this.#hold(await this.#obtain(within)),
    }));
  }

  #hasEnded({ usableUntil }: Held): boolean {
    return usableUntil <= this.#options.ports.clock.monotonic();
  }

  /**
   * An agent writes a new token into the file long before the old one ends. While it does, or when the file is gone, the
   * one at hand is as good as before; once that has ended, whoever needs another is told.
   */
  async #isReplaced({ token }: Held): Promise<boolean> {
    const { settings, protect } = this.#options;
    const { login } = settings;
    if (login.method !== 'token') return false;
    try {
      return (await readCredential(login.tokenFile, TOKEN_FILE, protect)) !== token.reveal();
    } catch (thrown) {
      if (!(thrown instanceof DelegateError)) throw thrown;
      return false;
    }
  }

  async #obtain(signal: AbortSignal): Promise<VaultGrant> {
    const { api, settings, protect } = this.#options;
    const { login } = settings;
    if (login.method === 'token') {
      const token = protect(await readCredential(login.tokenFile, TOKEN_FILE, protect));
      return await lookUp(api, token, signal);
    }
    const credentials = await vaultCredentials(login, protect);
    this.#assertNotRefused(credentials);
    try {
      return await logIn(api, login, credentials, protect, signal);
    } catch (thrown) {
      this.#remember(credentials, thrown);
      throw thrown;
    }
  }

  #assertNotRefused(credentials: VaultCredentials): void {
    const refused = this.#refused;
    if (refused === undefined || refused.until <= this.#options.ports.clock.monotonic()) return;
    if (refused.credentials === JSON.stringify(credentials)) throw refused.error;
  }

  #remember(credentials: VaultCredentials, thrown: unknown): void {
    if (!(thrown instanceof DelegateError) || thrown.code !== 'secret-store-login-refused') return;
    const until = this.#options.ports.clock.monotonic() + REFUSED_FOR_MS;
    this.#refused = { credentials: JSON.stringify(credentials), until, error: thrown };
  }

  #hold(grant: VaultGrant): Held {
    const { clock } = this.#options.ports;
    const { leaseMs = Number.POSITIVE_INFINITY } = grant;
    const held: Held = { ...grant, usableUntil: clock.monotonic() + leaseMs * USABLE_UNTIL };
    this.#held = held;
    this.#renewal?.cancel();
    if (grant.renewable && leaseMs >= MIN_RENEWED_LEASE_MS && leaseMs !== Number.POSITIVE_INFINITY) {
      this.#renewAfter(leaseMs * RENEW_AT, held);
    }
    return held;
  }

  #renewAfter(ms: number, held: Held): void {
    const { clock } = this.#options.ports;
    if (this.#end.signal.aborted) return;
    this.#renewal = clock.after(ms, () => {
      this.#renewing = this.#renew(held);
    });
  }

  /** Never rejects: a token that can't be renewed is used until it ends, and then another is had. */
  async #renew(held: Held): Promise<void> {
    const { api, protect, ports } = this.#options;
    try {
      const grant = await renew(api, held.token, protect, this.#end.signal);
      if (this.#held === held && grant !== undefined) this.#hold({ ...grant, token: held.token });
    } catch (thrown) {
      if (this.#end.signal.aborted || this.#held !== held || this.#hasEnded(held)) return;
      ports.log.warn({ why: reasonOf(thrown) }, 'the Vault token could not be renewed; trying again');
      this.#renewAfter(RENEW_AGAIN_MS, held);
    }
  }

  #drop({ token }: Held): void {
    if (this.#held?.token !== token) return;
    this.#held = undefined;
    this.#renewal?.cancel();
  }
}
