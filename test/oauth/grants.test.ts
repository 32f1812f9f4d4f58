import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { DelegateError } from '../../src/kit/errors.ts';
import type { HttpSend } from '../../src/kit/http-exchange.ts';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import {
  assertionRequest,
  redeemRefreshToken,
  refreshTokenRequest,
  type ExchangeContext,
  type RefreshTokenGrant,
} from '../../src/oauth/grants.ts';
import { jwtFacts } from '../../src/oauth/jwt-facts.ts';
import { OAuthFailure } from '../../src/oauth/token-failure.ts';
import { listenOnLoopback } from '../support/listen.ts';
import { startOidcProvider, type OidcProvider } from '../support/oidc-provider.ts';
import { leavesNothingOpen } from '../support/open-handles.ts';
import { fetchSend } from './send.ts';

const endpoint = new URL('https://login.example.com/token');
const secret = (value: string): Secret => new Secret(value);

async function failureOf(promise: Promise<unknown>): Promise<OAuthFailure> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof OAuthFailure) return error;
    throw error;
  }
  throw new Error('a token was granted');
}

describe('token requests', () => {
  leavesNothingOpen();

  it('an assertion travels with the resource, and no secret', () => {
    const { form, authorization } = assertionRequest({
      endpoint,
      clientId: secret('id'),
      assertion: secret('a.b.c'),
      resource: secret('https://instance.service-now.com'),
    });
    expect(Object.fromEntries(form)).to.deep.equal({
      grant_type: 'client_credentials',
      client_id: 'id',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'a.b.c',
      resource: 'https://instance.service-now.com',
    });
    expect(authorization).to.equal(undefined);
  });

  const grant: RefreshTokenGrant = {
    endpoint,
    clientId: secret('id'),
    clientSecret: undefined,
    refreshToken: secret('refresh'),
    scope: undefined,
  };

  it('scope and client secret are left out if there are none, not sent empty', () => {
    expect(refreshTokenRequest(grant, 'body').form.toString()).to.equal(
      'grant_type=refresh_token&client_id=id&refresh_token=refresh',
    );
  });

  it('scope and client secret go in the body', () => {
    const { form } = refreshTokenRequest({ ...grant, clientSecret: secret('s&='), scope: 'a b' }, 'body');
    expect(form.toString()).to.equal(
      'grant_type=refresh_token&client_id=id&client_secret=s%26%3D&refresh_token=refresh&scope=a+b',
    );
  });

  it('Basic carries both parts form-encoded, and the body neither', () => {
    const { form, authorization } = refreshTokenRequest({ ...grant, clientSecret: secret('ü:+') }, 'basic');
    expect(form.toString()).to.equal('grant_type=refresh_token&refresh_token=refresh');
    expect(authorization).to.equal(`Basic ${Buffer.from('id:%C3%BC%3A%2B').toString('base64')}`);
  });

  it('a public client has nothing to put into Basic', () => {
    expect(refreshTokenRequest(grant, 'basic')).to.deep.equal(refreshTokenRequest(grant, 'body'));
  });
});

describe('refresh tokens at a real OpenID provider', () => {
  let provider: OidcProvider;
  let redactor: Redactor;
  let sent: number;
  const countingSend: HttpSend = (request) => {
    sent += 1;
    return fetchSend(request);
  };
  const context = (): ExchangeContext => ({
    send: countingSend,
    protect: (value) => redactor.register(value),
    scrub: (text) => redactor.scrub(text),
    signal: AbortSignal.timeout(5_000),
  });
  const grantOf = (refreshToken: string, over: Partial<RefreshTokenGrant> = {}): RefreshTokenGrant => ({
    endpoint: provider.tokenEndpoint,
    clientId: secret(provider.clientId),
    clientSecret: secret(provider.clientSecret),
    refreshToken: secret(refreshToken),
    scope: undefined,
    ...over,
  });

  beforeEach(() => {
    redactor = new Redactor();
    sent = 0;
  });
  afterEach(() => provider.close());

  leavesNothingOpen();

  it('without rotation the same refresh token works for ever', async () => {
    provider = await startOidcProvider({ rotation: false });
    const refreshToken = await provider.issueRefreshToken();
    for (let round = 0; round < 2; round += 1) {
      const answer = await redeemRefreshToken(grantOf(refreshToken), context());
      expect(answer.expiresInS).to.equal(3_600);
      expect(answer.refreshToken?.reveal()).to.equal(refreshToken);
      const facts = answer.idToken === undefined ? undefined : jwtFacts(answer.idToken, context().scrub);
      expect(facts?.userClaims).to.deep.equal({ sub: provider.accountId });
      expect(facts?.issuer).to.equal(provider.issuer);
      expect(facts?.audience).to.deep.equal([provider.clientId]);
      expect(jwtFacts(answer.accessToken, context().scrub), 'an opaque token').to.equal(undefined);
    }
    expect(sent).to.equal(2);
  });

  it('with rotation the answer has a new refresh token, and the old one is refused', async () => {
    provider = await startOidcProvider({ rotation: true });
    const first = await provider.issueRefreshToken();
    const answer = await redeemRefreshToken(grantOf(first), context());
    const second = answer.refreshToken?.reveal() ?? '';
    expect(second).to.not.equal(first).and.not.equal('');
    const replay = await failureOf(redeemRefreshToken(grantOf(first), context()));
    expect(replay.code).to.equal('token.invalid-grant');
    expect(replay.retryable).to.equal(false);
    // The replay is taken for theft, and the whole grant goes with it.
    const after = await failureOf(redeemRefreshToken(grantOf(second), context()));
    expect(after.code).to.equal('token.invalid-grant');
  });

  it('every token of the answer is scrubbed from then on', async () => {
    provider = await startOidcProvider({ rotation: true });
    const answer = await redeemRefreshToken(grantOf(await provider.issueRefreshToken()), context());
    for (const token of [answer.accessToken, answer.idToken, answer.refreshToken]) {
      expect(redactor.scrub(`<${token?.reveal()}>`)).to.equal('<[secret]>');
    }
  });

  it('a wrong client secret is refused once and not tried again', async () => {
    provider = await startOidcProvider({ rotation: false });
    const grant = grantOf(await provider.issueRefreshToken(), { clientSecret: secret('wrong-canary') });
    const failure = await failureOf(redeemRefreshToken(grant, context()));
    expect(failure.code).to.equal('token.invalid-client');
    expect(failure.category).to.equal('credentials');
    expect(sent).to.equal(1);
  });

  it('a server that asks for Basic gets Basic, and the refresh token is not used up by it', async () => {
    provider = await startOidcProvider({ rotation: true, credentials: 'basic' });
    const answer = await redeemRefreshToken(grantOf(await provider.issueRefreshToken()), context());
    expect(answer.accessToken.reveal()).to.not.equal('');
    expect(sent).to.equal(2);
  });

  it('Basic is tried once', async () => {
    provider = await startOidcProvider({ rotation: false, credentials: 'basic' });
    const grant = grantOf(await provider.issueRefreshToken(), { clientSecret: secret('wrong-canary') });
    expect((await failureOf(redeemRefreshToken(grant, context()))).code).to.equal('token.invalid-client');
    expect(sent).to.equal(2);
  });

  it('a public client never tries Basic', async () => {
    provider = await startOidcProvider({ rotation: false, credentials: 'basic' });
    const grant = grantOf(await provider.issueRefreshToken(), { clientSecret: undefined });
    await failureOf(redeemRefreshToken(grant, context()));
    expect(sent).to.equal(1);
  });
});

describe('the exchange', () => {
  let server: Server;
  let origin: string;

  before(async () => {
    server = createServer();
    origin = `http://127.0.0.1:${await listenOnLoopback(server)}`;
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  leavesNothingOpen();

  it('ends with its signal, whatever the server does', async () => {
    const abort = new AbortController();
    const arrived = once(server, 'request');
    const pending = redeemRefreshToken(
      {
        endpoint: new URL('/token', origin),
        clientId: secret('id'),
        clientSecret: undefined,
        refreshToken: secret('refresh'),
        scope: undefined,
      },
      { send: fetchSend, protect: (value) => secret(value), scrub: (text) => text, signal: abort.signal },
    );
    await arrived;
    const reason = new DelegateError('cancelled', 'enough', { category: 'cancelled' });
    abort.abort(reason);
    expect(await pending.catch((error: unknown) => error)).to.equal(reason);
  });
});
