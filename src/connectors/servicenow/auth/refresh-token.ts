import type { Secret } from '../../../kit/secret.ts';
import { redeemRefreshToken } from '../../../oauth/grants.ts';
import { tokenError } from '../../../oauth/token-errors.ts';
import { protectToken, type TokenAnswer } from '../../../oauth/token-response.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import { meteredGrant } from '../../metering.ts';
import { bearerAuthorization, forgetRefused } from './bearer.ts';
import { fieldsOf, required, type AuthMethod, type SecretReceivers } from './method.ts';
import type { Redeem } from './refresh-tokens.ts';

const RECEIVERS: SecretReceivers<'RefreshTokenGrantType'> = {
  clientIdRef: ['authorization-server', 'resource-server'],
  clientSecretRef: ['authorization-server'],
  refreshTokenRef: ['authorization-server'],
};

/** OIDC refresh token (RFC 6749, section 6): exchanged for a bearer whenever the last one has run out. */
export const refreshToken: AuthMethod<'RefreshTokenGrantType'> = {
  secretFields: (auth) => fieldsOf(auth.spec, RECEIVERS),
  tokenEndpoint: (auth) => auth.spec.tokenUrl,
  signsWithKey: false,
  open(auth, secrets, deps) {
    const { tokens, send, meter, protect, scrub, refreshTokens, connector } = deps;
    const { tokenUrl: endpoint, scope, tokenType, refreshTokenRef: reference } = auth.spec;
    const clientId = required(secrets, 'clientIdRef');
    const clientSecret = secrets.get('clientSecretRef');
    const holding = { endpoint, clientId, reference, stored: required(secrets, 'refreshTokenRef') };
    // Access tokens belong to one connector. They outlive a rotation, which changes the stored token and not its family.
    const key = tokenKey([connector, refreshTokens.familyOf(holding), clientSecret, scope, tokenType]);

    const redeem: Redeem = (current, signal) => {
      // Once more: the newest one may have been in memory for long, and what is registered is bounded.
      const newest = protectToken(current.reveal(), 'authorization-server', protect);
      const grant = { endpoint, clientId, clientSecret, refreshToken: newest, scope };
      return meteredGrant({ meter, grant: 'refresh_token', signal }, () =>
        redeemRefreshToken(grant, { send, protect, scrub, signal }),
      );
    };
    const obtain = (signal: AbortSignal): Promise<TokenAnswer> =>
      refreshTokens.renew(holding, redeem, signal);

    return {
      user: undefined,
      identity: key,
      keyMaterial: undefined,
      async authorize(signal, options) {
        const answer = await tokens.get(key, obtain, signal, { ...options, seeThrough: true });
        await refreshTokens.keepAgain(holding, signal);
        const { accessToken } = answer;
        return bearerAuthorization({ bearer: chosenToken(answer, tokenType), accessToken }, protect);
      },
      refused: (authorization) => forgetRefused(tokens, key, authorization),
      warnings() {
        const warning = refreshTokens.warningOf(holding);
        return warning === undefined ? [] : [warning];
      },
    };
  },
};

function chosenToken(answer: TokenAnswer, tokenType: 'access_token' | 'id_token'): Secret {
  if (tokenType === 'access_token') return answer.accessToken;
  if (answer.idToken !== undefined) return answer.idToken;
  throw tokenError('token.missing-id-token', 'The token server answered without an id token.');
}
