import { randomUUID } from 'node:crypto';
import { signClientAssertion } from '../../../oauth/client-assertion.ts';
import { redeemAssertion } from '../../../oauth/grants.ts';
import { certificateExpiresSoon } from '../../../oauth/key-material-error.ts';
import { readKeyMaterial, type KeyMaterial } from '../../../oauth/key-material.ts';
import { tokenKey } from '../../../oauth/token-source.ts';
import { meteredGrant } from '../../metering.ts';
import { bearerAuthorization, forgetRefused } from './bearer.ts';
import { fieldsOf, required, type AuthMethod, type SecretReceivers } from './method.ts';

const RECEIVERS: SecretReceivers<'AdfsClientCredentialsWithCertificate'> = {
  resourceIdRef: ['authorization-server', 'resource-server'],
  clientIdRef: ['authorization-server', 'resource-server'],
  certificateRef: [],
  privateKeyRef: [],
  passphraseRef: [],
};

/** AD FS client credentials with a certificate: a signed assertion (RFC 7523) is exchanged for a bearer. */
export const adfs: AuthMethod<'AdfsClientCredentialsWithCertificate'> = {
  secretFields: (auth) => fieldsOf(auth.spec, RECEIVERS),
  tokenEndpoint: (auth) => auth.spec.adfsUrl,
  signsWithKey: true,
  open(auth, secrets, deps) {
    const { clock, tokens, send, meter, protect, scrub, connector } = deps;
    const endpoint = auth.spec.adfsUrl;
    const clientId = required(secrets, 'clientIdRef');
    const resource = required(secrets, 'resourceIdRef');
    const certificate = required(secrets, 'certificateRef');
    const privateKey = required(secrets, 'privateKeyRef');
    const passphrase = secrets.get('passphraseRef');
    const key = tokenKey([
      connector,
      'adfs',
      endpoint.href,
      clientId,
      resource,
      certificate,
      privateKey,
      passphrase,
    ]);
    // Once for a task: it is asked for up to three times, and a PKCS#12 file is slow to open.
    let material: KeyMaterial | undefined;
    const readKey = (): KeyMaterial =>
      (material ??= readKeyMaterial({ certificate, privateKey, passphrase, now: clock.now() }));
    return {
      user: undefined,
      identity: key,
      keyMaterial: readKey,
      async authorize(signal, options) {
        const answer = await tokens.get(
          key,
          async (flightSignal) => {
            const assertion = await signClientAssertion({
              material: readKey(),
              clientId,
              audience: endpoint.href,
              now: clock.now(),
              newJti: randomUUID,
              protect,
            });
            return await meteredGrant({ meter, grant: 'client_credentials', signal: flightSignal }, () =>
              redeemAssertion(
                { endpoint, clientId, assertion, resource },
                { send, protect, scrub, signal: flightSignal },
              ),
            );
          },
          signal,
          options,
        );
        const { accessToken } = answer;
        return bearerAuthorization({ bearer: accessToken, accessToken }, protect);
      },
      refused: (authorization) => forgetRefused(tokens, key, authorization),
      warnings() {
        const { expiresSoon: endsSoon, notAfter } = readKey();
        return endsSoon ? [certificateExpiresSoon(notAfter)] : [];
      },
    };
  },
};
