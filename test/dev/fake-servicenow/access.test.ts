import { createServer } from 'node:http';
import { expect } from 'chai';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import {
  LOCK_OUT_AFTER,
  OAUTH,
  PASSWORDS,
  startFakeServiceNow,
  type FakeServiceNow,
  type TrustedIssuer,
} from '../../../src/dev/fake-servicenow/index.ts';
import { listenOnLoopback } from '../../support/listen.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { as, basic, bearer, exchange, table, type Exchange } from './exchange.ts';

const REFUSAL =
  '{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}';

function refused(answer: Exchange): void {
  expect(answer.status).to.equal(401);
  expect(answer.text).to.equal(REFUSAL);
  expect(answer.headers).to.include({
    'www-authenticate': 'Basic realm="Service-now"',
    'x-is-logged-in': 'false',
  });
}

describe('authentication at the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  const ask = (headers: Record<string, string>): Promise<Exchange> =>
    exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers });

  leavesNothingOpen();

  it('takes a password with a colon and characters outside ASCII', async () => {
    expect(PASSWORDS.svc_deploy_ist).to.match(/:.*[^\0-\x7f]/);
    expect((await ask(as('svc_deploy_ist'))).status).to.equal(200);
    expect(servicenow.journal().at(-1)).to.include({ user: 'svc_deploy_ist', status: 200 });
  });

  it('refuses everybody else with one and the same text', async () => {
    refused(await ask({}));
    refused(await ask(basic('nobody', 'x')));
    refused(await ask(basic('svc_deploy', 'wrong')));
    refused(await ask(as('svc_nobasic')));
    refused(await ask(as('svc_locked')));
    refused(await ask(bearer('unknown')));
    refused(await ask({ authorization: 'Digest x' }));
    servicenow.users.update('svc_read', { active: false });
    refused(await ask(as('svc_read')));
  });

  it('gives a second factor away by a header, after the right password alone', async () => {
    const right = await ask(as('svc_mfa'));
    refused(right);
    expect(right.headers['x-mfa_token']).to.equal('invalid');
    expect((await ask(basic('svc_mfa', 'wrong'))).headers['x-mfa_token']).to.equal(undefined);
  });

  it('lets a user in without the basic-authentication role where that is not restricted', async () => {
    servicenow.profile.update({ basicAuthRestriction: 'off' });
    expect((await ask(as('svc_nobasic'))).status).to.equal(200);
  });

  it('locks a user out after five wrong passwords, and a right one does not open again', async () => {
    for (let attempt = 1; attempt < LOCK_OUT_AFTER; attempt += 1) await ask(basic('svc_deploy', 'wrong'));
    expect((await ask(as('svc_deploy'))).status, 'four are forgiven').to.equal(200);
    expect(servicenow.users.get('svc_deploy')).to.include({
      failedLogins: 0,
      failedLoginsEver: LOCK_OUT_AFTER - 1,
    });
    for (let attempt = 1; attempt <= LOCK_OUT_AFTER; attempt += 1) await ask(basic('svc_deploy', 'wrong'));
    refused(await ask(as('svc_deploy')));
    expect(servicenow.users.get('svc_deploy')).to.include({ lockedOut: true, failedLogins: LOCK_OUT_AFTER });
    servicenow.users.update('svc_deploy', { lockedOut: false });
    expect((await ask(as('svc_deploy'))).status).to.equal(200);
  });

  it('a session cookie answers for its own user, whatever credentials come with it', async () => {
    const first = await ask(as('svc_deploy'));
    const cookie = String(first.headers['set-cookie']?.[0]).split(';')[0] ?? '';
    await ask({ ...as('svc_read'), cookie });
    expect(servicenow.journal().at(-1)).to.include({ user: 'svc_deploy' });
  });

  it('an unknown path of the API is refused before it is looked at', async () => {
    refused(await exchange(`${servicenow.url}/api/now/none`));
    const answer = await exchange(`${servicenow.url}/api/now/none`, { headers: as('svc_deploy') });
    expect(answer.status).to.equal(400);
  });

  it('passwords can be given at the start', async () => {
    await using other = await startFakeServiceNow({ passwords: { svc_read: 'another' } });
    const target = other.url + table('incident', { sysparm_limit: '1' });
    expect((await exchange(target, { headers: basic('svc_read', 'another') })).status).to.equal(200);
    expect((await exchange(target, { headers: as('svc_read') })).status).to.equal(401);
  });
});

describe('tokens of other issuers at the fake', () => {
  const ISSUER = 'https://adfs.example.com/adfs';
  const NOW_MS = Date.UTC(2026, 10, 23, 12);
  const clock = {
    now: () => NOW_MS,
    monotonic: () => 0,
    after: () => ({ cancel: () => undefined }),
  };
  let servicenow: FakeServiceNow;
  let key: CryptoKey;
  let jwk: JWK;

  before(async () => {
    const pair = await generateKeyPair('RS256');
    key = pair.privateKey;
    jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'RS256' };
  });
  beforeEach(async () => {
    servicenow = await startFakeServiceNow({
      clock,
      trustedIssuers: [entity({ keys: [jwk] })],
    });
  });
  afterEach(() => servicenow.close());

  const entity = (jwks: TrustedIssuer['jwks']): TrustedIssuer => ({
    issuer: ISSUER,
    jwks,
    audience: 'microsoft:identityserver:servicenow',
    userClaim: 'upn',
    userField: 'email',
  });

  function sign(claims: Record<string, unknown> = {}): Promise<string> {
    return new SignJWT({
      iss: ISSUER,
      aud: 'microsoft:identityserver:servicenow',
      upn: 'svc_nobasic@example.com',
      exp: NOW_MS / 1_000 + 60,
      ...claims,
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .sign(key);
  }

  const ask = (token: string): Promise<Exchange> =>
    exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers: bearer(token) });

  leavesNothingOpen();

  it('a good one is its user, even one who may not use a password', async () => {
    expect((await ask(await sign())).status).to.equal(200);
    expect(servicenow.journal().at(-1)).to.include({ user: 'svc_nobasic' });
  });

  it('allows 300 seconds of clock difference and no more', async () => {
    expect((await ask(await sign({ exp: NOW_MS / 1_000 - 299 }))).status).to.equal(200);
    refused(await ask(await sign({ exp: NOW_MS / 1_000 - 301 })));
  });

  it('every other one is refused without a reason', async () => {
    const strange = await generateKeyPair('RS256');
    const forged = new SignJWT({
      iss: ISSUER,
      aud: 'microsoft:identityserver:servicenow',
      upn: 'svc_nobasic@example.com',
      exp: NOW_MS / 1_000 + 60,
    });
    refused(
      await ask(await forged.setProtectedHeader({ alg: 'RS256', kid: 'one' }).sign(strange.privateKey)),
    );
    refused(await ask(await sign({ iss: 'https://other.example.com' })));
    refused(await ask(await sign({ aud: 'urn:microsoft:userinfo' })));
    refused(await ask(await sign({ upn: 'stranger@example.com' })));
    refused(await ask(await sign({ upn: 7 })));
    refused(await ask(await sign({ upn: 'svc_locked@example.com' })));
    refused(await ask(await sign({ exp: undefined })));
    refused(await ask('a.b.c'));
  });

  it('fetches the keys where it was given an address, and refuses while that does not answer', async () => {
    const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
    const keysUrl = `http://127.0.0.1:${await listenOnLoopback(server)}/keys`;
    try {
      servicenow.issuers.trust(entity(keysUrl));
      expect((await ask(await sign())).status).to.equal(200);
    } finally {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    }
    servicenow.issuers.trust(entity(keysUrl));
    refused(await ask(await sign()));
  });
});

describe('the token endpoint of the fake', () => {
  let nowMs = Date.UTC(2026, 10, 23, 12);
  const clock = { now: () => nowMs, monotonic: () => nowMs, after: () => ({ cancel: () => undefined }) };
  const client = { client_id: OAUTH.clientId, client_secret: OAUTH.clientSecret };
  const refresh = { grant_type: 'refresh_token', refresh_token: OAUTH.refreshToken };
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow({ clock });
  });
  afterEach(() => servicenow.close());

  function post(fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Exchange> {
    return exchange(`${servicenow.url}/oauth_token.do`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
    });
  }

  const tokenOf = (answer: Exchange): string => /"access_token":"([^"]+)"/.exec(answer.text)?.[1] ?? '';
  const ask = (token: string): Promise<Exchange> =>
    exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers: bearer(token) });

  leavesNothingOpen();

  it('answers a refresh with the same tokens and what is left of their life', async () => {
    const first = await post({ ...refresh, ...client });
    const token = tokenOf(first);
    expect(first.text).to.equal(
      `{"access_token":"${token}","refresh_token":"${OAUTH.refreshToken}","scope":"useraccount","token_type":"Bearer","expires_in":1799}`,
    );
    nowMs += 600_000;
    const second = await post({ ...refresh, ...client });
    expect(tokenOf(second)).to.equal(token);
    expect(second.text).to.include('"expires_in":1199');
    expect((await ask(token)).status).to.equal(200);
  });

  it('a token ends with its life, or when it is revoked', async () => {
    const token = tokenOf(await post({ ...refresh, ...client }));
    nowMs += 1_800_000;
    refused(await ask(token));
    const next = tokenOf(await post({ ...refresh, ...client }));
    expect(next).to.not.equal(token);
    servicenow.tokens.revoke(next);
    refused(await ask(next));
    nowMs += 8_640_000_000;
    expect((await post({ ...refresh, ...client })).status).to.equal(401);
  });

  it('takes the client in the body or in Basic', async () => {
    expect((await post(refresh, basic(OAUTH.clientId, OAUTH.clientSecret))).status).to.equal(200);
  });

  it('leaves the refresh token out where the profile says so', async () => {
    servicenow.profile.update({ refreshReturnsToken: false });
    expect((await post({ ...refresh, ...client })).text).to.not.include('refresh_token');
  });

  it('grants by password, with a refresh token that works', async () => {
    const answer = await post({
      grant_type: 'password',
      username: 'svc_read',
      password: PASSWORDS.svc_read,
      ...client,
    });
    const refreshToken = /"refresh_token":"([^"]+)"/.exec(answer.text)?.[1] ?? '';
    const renewed = await post({ grant_type: 'refresh_token', refresh_token: refreshToken, ...client });
    expect(tokenOf(renewed)).to.equal(tokenOf(answer));
  });

  it('grants client credentials to a client with an application user, without a refresh token', async () => {
    const answer = await post({ grant_type: 'client_credentials', ...client });
    expect(answer.text).to.match(/^\{"access_token":"[^"]+","scope":"useraccount"/);
    expect((await ask(tokenOf(answer))).status).to.equal(200);
  });

  const failures: readonly (readonly [
    what: string,
    fields: Record<string, string>,
    rfc: string,
    status: number,
  ])[] = [
    [
      'a wrong client secret',
      { ...refresh, client_id: OAUTH.clientId, client_secret: 'x' },
      '{"error":"invalid_client","error_description":"Invalid client_id or client_secret."}',
      401,
    ],
    [
      'an unknown refresh token',
      { ...refresh, ...client, refresh_token: 'x' },
      '{"error":"invalid_grant","error_description":"access_denied"}',
      401,
    ],
    [
      'a wrong password',
      { grant_type: 'password', username: 'svc_read', password: 'x', ...client },
      '{"error":"invalid_grant","error_description":"access_denied"}',
      401,
    ],
    [
      'a client without an application user',
      { ...client, grant_type: 'client_credentials', client_id: OAUTH.bareClientId },
      '{"error":"invalid_grant","error_description":"access_denied: no OAuth application user set"}',
      401,
    ],
    ['an unknown grant', { grant_type: 'toString', ...client }, '{"error":"unsupported_grant_type"}', 400],
  ];
  for (const [what, fields, rfc, status] of failures) {
    it(`${what} is a server_error by default, and an RFC 6749 error on newer entities`, async () => {
      const classic = await post(fields);
      expect([classic.status, classic.text]).to.deep.equal([
        401,
        '{"error_description":"access_denied","error":"server_error"}',
      ]);
      servicenow.profile.update({ oauthErrors: 'rfc' });
      const newer = await post(fields);
      expect([newer.status, newer.text]).to.deep.equal([status, rfc]);
    });
  }

  it('understands forms only, and shows people the login page', async () => {
    const url = `${servicenow.url}/oauth_token.do`;
    const body = JSON.stringify({ ...refresh, ...client });
    const answer = await exchange(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(answer.status).to.equal(401);
    const slashed = await exchange(`${url}/`, { method: 'POST', body: '' });
    expect(slashed.headers['content-type']).to.match(/^text\/html/);
  });

  it('notes the form as it was sent', async () => {
    await post({ ...refresh, ...client, scope: 'a b' });
    const entry = servicenow.journal().at(-1);
    expect(Object.fromEntries(new URLSearchParams(entry?.body))).to.deep.equal({
      ...refresh,
      ...client,
      scope: 'a b',
    });
  });
});
