/** `oauth4webapi` 3.8 (MIT): a strict reading of the OAuth standards, against both token servers. */
import { expect } from 'chai';
import { importPKCS8 } from 'jose';
import * as oauth from 'oauth4webapi';
import {
  startFakeAdfs,
  type DevelopmentCertificate,
  type FakeAdfs,
} from '../../../src/dev/fake-identity/index.ts';
import {
  OAUTH,
  PASSWORDS,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { certificatesFor } from '../../support/certificates.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';

const OVER_HTTP = { [oauth.allowInsecureRequests]: true } as const;

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => expect.fail('it succeeded'),
    (error: unknown) => error,
  );
}

/** What an API call with this token is answered. */
async function statusOf(servicenow: FakeServiceNow, accessToken: string): Promise<number> {
  const url = new URL('/api/now/table/task?sysparm_limit=1', servicenow.url);
  const none = undefined;
  const answer = await oauth.protectedResourceRequest(accessToken, 'GET', url, none, none, OVER_HTTP);
  await answer.arrayBuffer();
  return answer.status;
}

describe('oauth4webapi against the fake ServiceNow', () => {
  const client: oauth.Client = { client_id: OAUTH.clientId };
  const secret = oauth.ClientSecretPost(OAUTH.clientSecret);
  let servicenow: FakeServiceNow;
  let server: oauth.AuthorizationServer;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
    server = {
      issuer: servicenow.url,
      token_endpoint: `${servicenow.url}/oauth_token.do`,
      revocation_endpoint: `${servicenow.url}/oauth_revoke_token.do`,
    };
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  async function refresh(refreshToken: string): Promise<oauth.TokenEndpointResponse> {
    const answer = await oauth.refreshTokenGrantRequest(server, client, secret, refreshToken, OVER_HTTP);
    return await oauth.processRefreshTokenResponse(server, client, answer);
  }

  it('a refresh token is exchanged for a token that opens the API, until it is revoked', async () => {
    const granted = await refresh(OAUTH.refreshToken);
    expect(granted).to.include({ token_type: 'bearer', scope: 'useraccount', expires_in: 1_799 });
    expect(await statusOf(servicenow, granted.access_token)).to.equal(200);
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, secret, granted.access_token, OVER_HTTP),
    );
    const refused = await failureOf(statusOf(servicenow, granted.access_token));
    expect(refused).to.be.instanceOf(oauth.WWWAuthenticateChallengeError);
    expect(refused).to.have.nested.property('cause[0].parameters.realm', 'Service-now');
  });

  it('a password and the client itself are exchanged as well', async () => {
    const login = { username: 'svc_deploy', password: PASSWORDS.svc_deploy };
    for (const answer of [
      await oauth.genericTokenEndpointRequest(server, client, secret, 'password', login, OVER_HTTP),
      await oauth.clientCredentialsGrantRequest(server, client, secret, {}, OVER_HTTP),
    ]) {
      const { access_token: token } = await oauth.processGenericTokenEndpointResponse(server, client, answer);
      expect(await statusOf(servicenow, token)).to.equal(200);
    }
  });

  it('a refusal is read as the OAuth error that it is, in either dialect', async () => {
    const classic = await failureOf(refresh('unknown'));
    expect(classic).to.be.instanceOf(oauth.ResponseBodyError);
    expect(classic).to.include({ status: 401, error: 'server_error', error_description: 'access_denied' });
    servicenow.profile.update({ oauthErrors: 'rfc' });
    expect(await failureOf(refresh('unknown'))).to.include({ status: 401, error: 'invalid_grant' });
  });

  it('a login page in place of a token is no token', async () => {
    servicenow.faults.add({ fault: 'login-html', match: { route: 'token' } });
    expect(await failureOf(refresh(OAUTH.refreshToken))).to.be.instanceOf(oauth.OperationProcessingError);
  });
});

describe('oauth4webapi against the fake AD FS', () => {
  const client: oauth.Client = { client_id: 'client-4711' };
  const resource = 'urn:servicenow:of-the-test';
  let own: DevelopmentCertificate;
  let signing: DevelopmentCertificate;
  let adfs: FakeAdfs;
  let server: oauth.AuthorizationServer;

  before(async () => {
    [own, signing] = await certificatesFor('client', 'signing');
  });
  beforeEach(async () => {
    adfs = await startFakeAdfs({ signing });
    adfs.registerClient({
      clientId: client.client_id,
      certificatePem: own.certificatePem,
      permissions: [resource],
      tokenClaims: { upn: 'svc_deploy' },
    });
    const at = new URL('/adfs', adfs.url);
    server = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, OVER_HTTP));
  });
  afterEach(() => adfs.close());

  leavesNothingOpen();

  async function grant(
    modify: oauth.ModifyAssertionFunction,
    parameters: Record<string, string> = { resource },
  ): Promise<oauth.TokenEndpointResponse> {
    const key = await importPKCS8(own.pkcs8Pem, 'RS256');
    const signed = oauth.PrivateKeyJwt(key, { [oauth.modifyAssertion]: modify });
    const answer = await oauth.clientCredentialsGrantRequest(server, client, signed, parameters, OVER_HTTP);
    return await oauth.processClientCredentialsResponse(server, client, answer);
  }

  /** By itself the library names the issuer as audience and leaves the certificate out; AD FS takes neither. */
  const asAdfsWants: oauth.ModifyAssertionFunction = (header, payload) => {
    header['typ'] = 'JWT';
    header['x5t'] = Buffer.from(own.thumbprint, 'hex').toString('base64url');
    payload['aud'] = server.token_endpoint;
  };

  it('an assertion with x5t and the endpoint as audience is granted a token that opens ServiceNow', async () => {
    await using servicenow = await startFakeServiceNow({
      trustedIssuers: [
        {
          issuer: adfs.issuer,
          jwks: `${adfs.url}/adfs/discovery/keys`,
          audience: resource,
          userClaim: 'upn',
          userField: 'user_name',
        },
      ],
    });
    const granted = await grant(asAdfsWants);
    expect(granted).to.include({ token_type: 'bearer', expires_in: 3_600 });
    expect(granted).to.not.have.property('refresh_token');
    expect(await statusOf(servicenow, granted.access_token)).to.equal(200);
    expect(servicenow.journal().at(-1)).to.include({ user: 'svc_deploy' });
  });

  it('an assertion as the library makes it by default is refused, as AD FS does', async () => {
    const refused = await failureOf(grant(() => {}));
    expect(refused).to.be.instanceOf(oauth.ResponseBodyError);
    expect(refused).to.include({ status: 400, error: 'invalid_client' });
    expect(refused)
      .to.have.property('error_description')
      .that.matches(/^MSIS9622: /);
  });

  it('a resource that nobody registered is named as the reason', async () => {
    const refused = await failureOf(grant(asAdfsWants, { resource: 'urn:nobody' }));
    expect(refused).to.include({ status: 400, error: 'invalid_resource' });
  });
});
