import { Secret } from '../../../kit/secret.ts';
import { protectToken, type ProtectToken } from '../../../oauth/token-response.ts';
import type { TokenSource } from '../../../oauth/token-source.ts';
import type { Authorization } from './method.ts';

/**
 * RFC 6750, section 2.1. Both tokens are registered for scrubbing with each use: what is registered is bounded, and a
 * token that was used from memory for an hour might be among what was forgotten.
 */
export function bearerAuthorization(
  tokens: { bearer: Secret; accessToken: Secret },
  protect: ProtectToken,
): Authorization {
  for (const token of new Set([tokens.bearer, tokens.accessToken])) {
    protectToken(token.reveal(), 'resource-server', protect);
  }
  // The header as a whole is not registered: the token in it is, and a second value would only push out a third.
  return { header: new Secret(`Bearer ${tokens.bearer.reveal()}`), ...tokens };
}

/** Forgets the very token that was refused; a newer one stays. */
export function forgetRefused(tokens: TokenSource, key: string, authorization: Authorization): boolean {
  if (authorization.accessToken === undefined) return false;
  tokens.invalidate(key, authorization.accessToken);
  return true;
}
