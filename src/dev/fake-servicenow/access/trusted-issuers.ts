import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  errors,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose';
import { z } from 'zod';
import type { Clock } from '../../../kit/time.ts';
import type { Accounts, UserView } from './accounts.ts';

/** Clock difference that ServiceNow allows unless the entity says otherwise. */
const DEFAULT_CLOCK_SKEW_S = 300;

const jwkSchema = z.looseObject({ kty: z.string().exactOptional() });

/** An OIDC entity: whose tokens are accepted, for what audience, and which user a token stands for. */
export const trustedIssuerSchema = z.strictObject({
  issuer: z.string(),
  /** The key set itself, or the URL it is fetched from. */
  jwks: z.union([z.url(), z.looseObject({ keys: z.array(jwkSchema) })]),
  /** The client id typed into the entity; a token's `aud` has to hold it. */
  audience: z.string(),
  /** The claim that names the user … */
  userClaim: z.string(),
  /** … and the `sys_user` field it has to equal. */
  userField: z.string(),
  clockSkewS: z.number().min(0).optional(),
});

export type TrustedIssuer = z.input<typeof trustedIssuerSchema>;

/** Errors that mean "this token is no good". `fetch` rejects with a TypeError when the key server can't be reached. */
const REFUSALS = [errors.JOSEError, TypeError];

export class TrustedIssuers {
  readonly #accounts: Accounts;
  readonly #clock: Clock;
  readonly #entities = new Map<string, { entity: TrustedIssuer; keys: JWTVerifyGetKey }>();

  constructor(accounts: Accounts, clock: Clock, entities: readonly TrustedIssuer[]) {
    this.#accounts = accounts;
    this.#clock = clock;
    for (const entity of entities) this.trust(entity);
  }

  /** Adds an entity, or replaces the one with the same issuer. */
  trust(entity: TrustedIssuer): void {
    const keys =
      typeof entity.jwks === 'string'
        ? createRemoteJWKSet(new URL(entity.jwks))
        : createLocalJWKSet(entity.jwks);
    this.#entities.set(entity.issuer, { entity, keys });
  }

  /** The user a token stands for. Undefined whatever is wrong with it: a client is never told which check failed. */
  async userOf(token: string): Promise<UserView | undefined> {
    try {
      const trusted = this.#entities.get(decodeJwt(token).iss ?? '');
      if (trusted === undefined) return undefined;
      const { entity, keys } = trusted;
      const { payload } = await jwtVerify(token, keys, {
        issuer: entity.issuer,
        audience: entity.audience,
        clockTolerance: entity.clockSkewS ?? DEFAULT_CLOCK_SKEW_S,
        currentDate: new Date(this.#clock.now()),
        requiredClaims: ['exp'],
      });
      const claim = payload[entity.userClaim];
      return typeof claim === 'string' ? this.#accounts.findBy(entity.userField, claim) : undefined;
    } catch (error) {
      if (REFUSALS.some((kind) => error instanceof kind)) return undefined;
      throw error;
    }
  }
}
