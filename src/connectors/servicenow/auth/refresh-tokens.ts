import type { Secret } from '../../../kit/secret.ts';

/** How many rotated tokens are remembered; a connector has one. */
const MAX_REMEMBERED = 500;

/**
 * Where a rotated refresh token goes. An authorization server that rotates takes the old token out of use, so
 * the newest must be kept before the access token that came with it is used.
 */
export interface RefreshTokens {
  /** The newest token that grew out of the stored one, or the stored one itself. */
  current(key: string, stored: Secret): Secret;
  /** Resolves when the new token is kept as well as this store can. */
  rotated(key: string, token: Secret): Promise<void>;
  /** Whether the token in the customer's store is no longer the newest. */
  isOutdated(key: string): boolean;
}

/**
 * Keeps rotated tokens for the life of the process. The key includes the stored token, so that a token which the
 * customer replaces in the secret store is used at once.
 */
export function refreshTokensInMemory(): RefreshTokens {
  const newest = new Map<string, Secret>();
  return {
    current: (key, stored) => newest.get(key) ?? stored,
    rotated(key, token) {
      newest.delete(key);
      newest.set(key, token);
      for (const oldest of newest.keys()) {
        if (newest.size <= MAX_REMEMBERED) break;
        newest.delete(oldest);
      }
      return Promise.resolve();
    },
    isOutdated: (key) => newest.has(key),
  };
}
