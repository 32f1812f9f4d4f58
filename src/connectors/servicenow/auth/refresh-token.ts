import { DelegateError } from '../../../kit/errors.ts';
import type { Secret } from '../../../kit/secret.ts';
import { redeemRefreshToken } from '../../../oauth/grants.ts';
import type { TokenAnswer } from '../../../oauth/token-response.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import { bearerAuthorization, forgetRefused } from './bearer.ts';
import { fieldsOf, required, type AuthMethod } from './method.ts';

/** OIDC refresh token (RFC 6749, section 6): exchanged for a bearer whenever the last one has run out. */
export const refreshToken: AuthMethod<'RefreshTokenGrantType'> = {
  secretFields: (auth) => fieldsOf(auth.spec),
  tokenEndpoint: (auth) => auth.spec.tokenUrl,
  signsWithKey: false,
  open(auth, secrets, deps) {
    const { tokens, send, protect, scrub, refreshTokens, connector } = deps;
    const { tokenUrl: endpoint, scope, tokenType } = auth.spec;
    const clientId = required(secrets, 'clientIdRef');
    const clientSecret = secrets.get('clientSecretRef');
    const stored = required(secrets, 'refreshTokenRef');
    // Access tokens belong to one connector. The refresh token is one and the same wherever it stands: what a
    // rotation has replaced must not be sent again by another connector either.
    const grant = tokenKey(['refresh-token', endpoint.href, clientId, stored]);
    const key = tokenKey([connector, grant, clientSecret, scope, tokenType]);

    const exchange = async (signal: AbortSignal): Promise<TokenAnswer> => {
      const current = refreshTokens.current(grant, stored);
      const answer = await redeemRefreshToken(
        { endpoint, clientId, clientSecret, refreshToken: current, scope },
        { send, protect, scrub, signal },
      );
      const renewed = answer.refreshToken;
      // Kept before anybody uses the access token: from now on the old refresh token may be worth nothing.
      if (renewed !== undefined && renewed.reveal() !== current.reveal()) {
        await refreshTokens.rotated(grant, renewed);
      }
      return answer;
    };
    const obtain = (signal: AbortSignal): Promise<TokenAnswer> =>
      refreshTokens.inTurn(grant, () => exchange(signal));

    return {
      user: undefined,
      identity: key,
      keyMaterial: undefined,
      async authorize(signal) {
        const answer = await tokens.get(key, obtain, signal);
        return bearerAuthorization({
          bearer: chosenToken(answer, tokenType),
          accessToken: answer.accessToken,
        });
      },
      refused: (authorization) => forgetRefused(tokens, key, authorization),
      warnings: () => (refreshTokens.isOutdated(grant) ? [storedTokenOutdated()] : []),
    };
  },
};

function chosenToken(answer: TokenAnswer, tokenType: 'access_token' | 'id_token'): Secret {
  if (tokenType === 'access_token') return answer.accessToken;
  if (answer.idToken !== undefined) return answer.idToken;
  throw new DelegateError('token.missing-id-token', 'The token server answered without an id token.', {
    category: 'bad-response',
    hint: 'Add openid to the scope, or set tokenType to access_token.',
  });
}

function storedTokenOutdated(): DelegateError {
  return new DelegateError(
    'token.stored-refresh-token-outdated',
    'The token server has replaced the refresh token; the one in the secret store is about to stop working.',
    {
      category: 'credentials',
      hint: 'The delegate keeps the new one only until it restarts. Use a client with persistent refresh tokens, or renew the stored one before a restart.',
    },
  );
}
