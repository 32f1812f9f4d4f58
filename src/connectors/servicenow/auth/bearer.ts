import type { Secret } from '../../../kit/secret.ts';
import type { TokenSource } from '../../../oauth/token-source.ts';
import type { Authorization } from './method.ts';

/** RFC 6750, section 2.1. */
export function bearerAuthorization(
  tokens: { bearer: Secret; accessToken: Secret },
  protect: (value: string) => Secret,
): Authorization {
  return { header: protect(`Bearer ${tokens.bearer.reveal()}`), ...tokens };
}

/** Forgets the very token that was refused; a newer one stays. */
export function forgetRefused(tokens: TokenSource, key: string, authorization: Authorization): boolean {
  if (authorization.accessToken === undefined) return false;
  tokens.invalidate(key, authorization.accessToken);
  return true;
}
