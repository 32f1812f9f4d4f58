import { SignJWT } from 'jose';
import type { Secret } from '../kit/secret.ts';
import type { KeyMaterial } from './key-material.ts';
import type { ProtectToken } from './token-response.ts';

/** AD FS allows next to no clock difference, so the assertion says it began a minute ago. */
const NOT_BEFORE_MARGIN_S = 60;

/** AD FS and Entra ID advise against more than ten minutes. */
const LIFETIME_S = 600;

export interface ClientAssertionInput {
  material: Pick<KeyMaterial, 'key' | 'kid' | 'x5t'>;
  clientId: Secret;
  /** The token endpoint, character by character as the server knows itself. */
  audience: string;
  /** Wall time, milliseconds since the epoch. */
  now: number;
  /** Gives a value never given before; a server refuses one that it has seen (RFC 7523, section 3). */
  newJti: () => string;
  protect: ProtectToken;
}

/**
 * The JWT with which a client proves who it is (RFC 7523, section 2.2), RS256.
 *
 * `kid` and `x5t` carry the same thumbprint: AD FS 2019 finds the certificate by `x5t` alone, while older
 * registrations by key set go by `kid`.
 */
export async function signClientAssertion(input: ClientAssertionInput): Promise<Secret> {
  const { material, audience } = input;
  const clientId = input.clientId.reveal();
  const issuedAtS = Math.floor(input.now / 1_000);
  const assertion = await new SignJWT()
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: material.kid, x5t: material.x5t })
    .setIssuer(clientId)
    .setSubject(clientId)
    // A string, never an array: AD FS compares it with its own address, and Entra ID refuses an array.
    .setAudience(audience)
    .setJti(input.newJti())
    .setIssuedAt(issuedAtS)
    .setNotBefore(issuedAtS - NOT_BEFORE_MARGIN_S)
    .setExpirationTime(issuedAtS + LIFETIME_S)
    .sign(material.key);
  return input.protect(assertion, 'authorization-server');
}
