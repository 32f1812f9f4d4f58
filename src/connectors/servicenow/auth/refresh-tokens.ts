import { forgetOldest } from '../../../kit/bounds.ts';
import type { Secret } from '../../../kit/secret.ts';

/** How many rotated tokens are remembered; a connector has one. */
const MAX_REMEMBERED = 500;

/**
 * Where a rotated refresh token goes. An authorization server that rotates takes the old token out of use, so
 * the newest must be kept before the access token that came with it is used.
 */
export interface RefreshTokens {
  /**
   * Runs the exchanges of one refresh token one after another. Two at once would send the same token twice, which
   * a rotating server takes for theft and answers by revoking all that grew out of it.
   */
  inTurn<T>(key: string, exchange: () => Promise<T>): Promise<T>;
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
  /** The end of the last exchange begun, by key; it never rejects. */
  const turns = new Map<string, Promise<void>>();
  return {
    inTurn(key, exchange) {
      const turn = (turns.get(key) ?? Promise.resolve()).then(exchange);
      const end = (): void => {
        if (turns.get(key) === ended) turns.delete(key);
      };
      const ended: Promise<void> = turn.then(end, end);
      turns.set(key, ended);
      return turn;
    },
    current: (key, stored) => newest.get(key) ?? stored,
    rotated(key, token) {
      newest.delete(key);
      newest.set(key, token);
      forgetOldest(newest, MAX_REMEMBERED);
      return Promise.resolve();
    },
    isOutdated: (key) => newest.has(key),
  };
}
