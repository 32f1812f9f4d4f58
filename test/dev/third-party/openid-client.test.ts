/** `openid-client` 6.9 (MIT), whose version 5 the official ServiceNow SDK depends on. */
import { expect } from 'chai';
import { importPKCS8 } from 'jose';
import * as openid from 'openid-client';
import { startFakeAdfs } from '../../../src/dev/fake-identity/index.ts';
import { OAUTH, startFakeServiceNow } from '../../../src/dev/fake-servicenow/index.ts';
import { certificatesFor } from '../../support/certificates.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

describe('openid-client', () => {
  leavesNothingOpen();

  it('renews a token of the fake ServiceNow and reads a table with it', async () => {
    await using servicenow = await startFakeServiceNow();
    const config = new openid.Configuration(
      { issuer: servicenow.url, token_endpoint: `${servicenow.url}/oauth_token.do` },
      OAUTH.clientId,
      undefined,
      openid.ClientSecretPost(OAUTH.clientSecret),
    );
    openid.allowInsecureRequests(config);
    const tokens = await openid.refreshTokenGrant(config, OAUTH.refreshToken);
    expect(tokens.expiresIn()).to.be.within(1, 1_799);
    const url = new URL('/api/now/table/incident?sysparm_limit=2', servicenow.url);
    const answer = await openid.fetchProtectedResource(config, tokens.access_token, url, 'GET');
    expect(await answer.json())
      .to.have.property('result')
      .with.lengthOf(2);
  });

  it('discovers the fake AD FS, and is granted a token for a signed assertion', async () => {
    const [own, signing] = await certificatesFor('client', 'signing');
    await using adfs = await startFakeAdfs({ signing });
    const clientId = 'client-4711';
    const resource = 'urn:servicenow:of-the-test';
    adfs.registerClient({ clientId, certificatePem: own.certificatePem, permissions: [resource] });
    const signed = openid.PrivateKeyJwt(await importPKCS8(own.pkcs8Pem, 'RS256'), {
      [openid.modifyAssertion]: (header, payload) => {
        header['x5t'] = Buffer.from(own.thumbprint, 'hex').toString('base64url');
        payload['aud'] = adfs.tokenEndpoint;
      },
    });
    const config = await openid.discovery(new URL('/adfs', adfs.url), clientId, undefined, signed, {
      execute: [openid.allowInsecureRequests],
    });
    const tokens = await openid.clientCredentialsGrant(config, { resource });
    expect(tokens.token_type).to.equal('bearer');
    expect(tokens.claims(), 'AD FS gives no id_token to a client').to.equal(undefined);
  });
});
