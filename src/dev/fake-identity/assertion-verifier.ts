import { decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { Clock } from '../../kit/time.ts';
import { certificateNamed, type RegisteredClient } from './registry.ts';

export interface AssertionRules {
  /**
   * `strict2019`: the header must name the certificate by `x5t`. `tolerant2016`: `kid` alone (hex or base64url
   * of the thumbprint) will do.
   */
  profile: 'strict2019' | 'tolerant2016';
  /** Seconds by which `nbf` and `exp` may be off. */
  clockSkewS: number;
  /** Seconds from now that `exp` may lie ahead at most. */
  maxLifetimeS: number;
}

/** Undefined if the client is who it says; else the reason, for the journal. The client itself is never told. */
export type AssertionVerdict = string | undefined;

/** An AD FS' reading of RFC 7523, section 3, and the memory of assertions seen. */
export class AssertionVerifier {
  readonly #rules: AssertionRules;
  readonly #clock: Clock;
  readonly #audiences: readonly string[];
  /** End of life (epoch seconds) by client and `jti`. */
  readonly #seen = new Map<string, number>();

  constructor(rules: AssertionRules, clock: Clock, audiences: readonly string[]) {
    this.#rules = rules;
    this.#clock = clock;
    this.#audiences = audiences;
  }

  async verify(client: RegisteredClient, assertion: string): Promise<AssertionVerdict> {
    try {
      return await this.#judge(client, assertion);
    } catch (error) {
      if (error instanceof errors.JOSEError) return `${error.code}: ${error.message}`;
      throw error;
    }
  }

  async #judge(client: RegisteredClient, assertion: string): Promise<AssertionVerdict> {
    const { profile, clockSkewS, maxLifetimeS } = this.#rules;
    const header = headerOf(assertion);
    if (profile === 'strict2019' && header.x5t === undefined) return 'the header has no x5t';
    const certificate = certificateNamed(client, header);
    if (certificate === undefined) return 'no registered certificate has this x5t or kid';
    const nowMs = this.#clock.now();
    const nowS = Math.floor(nowMs / 1_000);
    const { payload } = await jwtVerify(assertion, certificate.publicKey, {
      algorithms: ['RS256'],
      issuer: client.clientId,
      subject: client.clientId,
      requiredClaims: ['jti', 'exp', 'nbf'],
      clockTolerance: clockSkewS,
      currentDate: new Date(nowMs),
    });
    const { aud, exp, jti } = payload;
    if (typeof aud !== 'string') return 'aud is not a string';
    if (!this.#audiences.includes(aud)) return `aud is ${aud}`;
    if (exp === undefined || exp > nowS + maxLifetimeS + clockSkewS) return 'exp lies too far ahead';
    if (typeof jti !== 'string' || !this.#remember(`${client.clientId} ${jti}`, exp, nowS)) {
      return 'this jti was used before';
    }
    return undefined;
  }

  /** False if it was there already. An assertion past its end is refused anyway, so it need not be remembered. */
  #remember(id: string, exp: number, nowS: number): boolean {
    for (const [seen, end] of this.#seen) if (end + this.#rules.clockSkewS < nowS) this.#seen.delete(seen);
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, exp);
    return true;
  }
}

function headerOf(assertion: string): { x5t?: string | undefined; kid?: string | undefined } {
  try {
    return decodeProtectedHeader(assertion);
  } catch (cause) {
    // jose throws a bare TypeError here, unlike everywhere else.
    throw new errors.JWTInvalid('the assertion is no JWT', { cause });
  }
}
