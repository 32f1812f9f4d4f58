import { Secret } from '../../../kit/secret.ts';
import type { TokenSource } from '../../../oauth/token-source.ts';
import type { Authorization } from './method.ts';

/** RFC 6750, section 2.1. */
export function bearerAuthorization(tokens: { bearer: Secret; accessToken: Secret }): Authorization {
  // Not registered for scrubbing: the token in it is, and a second value would only push out a third.
  return { header: new Secret(`Bearer ${tokens.bearer.reveal()}`), ...tokens };
}

/** Forgets the very token that was refused; a newer one stays. */
export function forgetRefused(tokens: TokenSource, key: string, authorization: Authorization): boolean {
  if (authorization.accessToken === undefined) return false;
  tokens.invalidate(key, authorization.accessToken);
  return true;
}
