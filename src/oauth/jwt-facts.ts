import { decodeJwt, type JWTPayload } from 'jose';
import type { Secret } from '../kit/secret.ts';
import { toTimestamp } from '../kit/time.ts';

/** What a token says of itself, to be shown to a person. Nothing here is verified, and nothing may rely on it. */
export interface JwtFacts {
  issuer: string | undefined;
  audience: readonly string[];
  /** RFC 3339. */
  expiresAt: string | undefined;
  /** The claims by which ServiceNow's OIDC entity may find the user, as far as the token has them. */
  userClaims: Readonly<Record<string, string>>;
}

const USER_CLAIMS = [
  'sub',
  'upn',
  'email',
  'preferred_username',
  'unique_name',
  'appid',
  'client_id',
] as const;

const MAX_CLAIM_CHARS = 256;

/** The last second that a `Date` can hold. */
const MAX_EPOCH_S = 8_640_000_000_000;

/**
 * Undefined for a token that is opaque to everybody but its server.
 *
 * @param scrub replaces known secrets; it is given each claim as it came, because a cut one is no longer found
 */
export function jwtFacts(token: Secret, scrub: (text: string) => string): JwtFacts | undefined {
  const claims = claimsOf(token);
  if (claims === undefined) return undefined;
  const { aud, exp } = claims;
  const shown = (claim: unknown): string | undefined =>
    typeof claim === 'string' ? onOneLine(scrub(claim)) : undefined;
  return {
    issuer: shown(claims.iss),
    audience: (Array.isArray(aud) ? aud : [aud]).map(shown).filter((value) => value !== undefined),
    expiresAt: typeof exp === 'number' && Math.abs(exp) <= MAX_EPOCH_S ? toTimestamp(exp * 1_000) : undefined,
    userClaims: Object.fromEntries(
      USER_CLAIMS.flatMap((name) => {
        const value = shown(claims[name]);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

function claimsOf(token: Secret): JWTPayload | undefined {
  try {
    return decodeJwt(token.reveal());
  } catch {
    // jose has one way to say "this is no JWT", and that is the question here.
    return undefined;
  }
}

function onOneLine(claim: string): string {
  return claim.replace(/[\p{C}\p{Z}]+/gu, ' ').slice(0, MAX_CLAIM_CHARS);
}
