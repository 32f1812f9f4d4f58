import { expect } from 'chai';
import { OAUTH } from '../../../../src/dev/fake-servicenow/index.ts';
import type { HttpRequest } from '../../../../src/kit/http-exchange.ts';
import { systemClock } from '../../../../src/kit/time.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  startOidcProvider,
  type OidcProvider,
  type OidcProviderOptions,
} from '../../../support/oidc-provider.ts';
import {
  failureOf,
  formOf,
  joinOidcProvider,
  openBench,
  QUESTION,
  tableCalls,
  tokenCalls,
  type AuthInput,
  type Bench,
} from '../../../support/servicenow.ts';
import { leavesNothingOpen } from '../../../support/open-handles.ts';

const OUTDATED = 'token.stored-refresh-token-outdated';

describe('OIDC refresh token', () => {
  leavesNothingOpen();

  describe("at ServiceNow's own token server", () => {
    let bench: Bench;
    let clock: ManualClock;
    beforeEach(async () => {
      clock = new ManualClock();
      bench = await openBench({ clock });
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    it('is exchanged by a form, scope left out, and the access token is the bearer', async () => {
      const answer = await bench.check(bench.byRefreshToken(), QUESTION);
      expect(answer).to.deep.include({ decision: 'approved', warnings: [] });
      const [exchange, ...more] = tokenCalls(bench.instance);
      expect(more).to.deep.equal([]);
      expect(exchange).to.include({ method: 'POST', path: '/oauth_token.do' });
      expect(exchange?.headers).to.include({ 'content-type': 'application/x-www-form-urlencoded' });
      expect(exchange?.headers).not.to.have.property('authorization');
      expect(exchange && formOf(exchange)).to.deep.equal({
        grant_type: 'refresh_token',
        client_id: OAUTH.clientId,
        client_secret: OAUTH.clientSecret,
        refresh_token: OAUTH.refreshToken,
      });
      expect(tableCalls(bench.instance)[0]).to.include({ user: 'svc_deploy' });
      expect(tableCalls(bench.instance)[0]?.headers.authorization).to.match(/^Bearer [\w-]{86}$/);
    });

    it('with a scope, that is sent', async () => {
      await bench.check(bench.byRefreshToken({ scope: 'useraccount other' }), QUESTION);
      const [exchange] = tokenCalls(bench.instance);
      expect(exchange && formOf(exchange)).to.include({ scope: 'useraccount other' });
    });

    it('without a client secret, the field is left out and not sent empty', async () => {
      await failureOf(() => bench.check(bench.byRefreshToken({ clientSecretRef: undefined }), QUESTION));
      const [exchange] = tokenCalls(bench.instance);
      expect(exchange && formOf(exchange)).to.deep.equal({
        grant_type: 'refresh_token',
        client_id: OAUTH.clientId,
        refresh_token: OAUTH.refreshToken,
      });
    });

    it('nothing rotates: the same one is sent for ever, without a warning', async () => {
      const auth = bench.byRefreshToken();
      await bench.check(auth, QUESTION);
      await clock.advance(1_800_000);
      const { warnings } = await bench.check(auth, QUESTION);
      expect(warnings).to.deep.equal([]);
      expect(tokenCalls(bench.instance).map((call) => formOf(call)['refresh_token'])).to.deep.equal([
        OAUTH.refreshToken,
        OAUTH.refreshToken,
      ]);
    });

    it('a slash pasted behind oauth_token.do is cut: it would lead to the log-in page', async () => {
      const auth = bench.byRefreshToken({ tokenUrl: `${bench.instance.url}/oauth_token.do/` });
      expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
      expect(tokenCalls(bench.instance)[0]?.path).to.equal('/oauth_token.do');
    });

    it('401 server_error is what it is there: credentials, not to be tried again', async () => {
      const auth = bench.byRefreshToken();
      bench.surroundings.secrets.set('refresh-token', 'an-expired-one');
      const error = await failureOf(() => bench.check(auth, QUESTION));
      expect(error).to.include({
        code: 'token.denied',
        category: 'credentials',
        retryable: false,
        status: 401,
      });
      expect(error.hint).to.match(/client secret is wrong.*100 days/s);
      expect(tokenCalls(bench.instance)).to.have.length(1);
      expect(tableCalls(bench.instance)).to.deep.equal([]);
    });

    for (const [secret, code] of [
      ['client-secret', 'token.invalid-client'],
      ['refresh-token', 'token.invalid-grant'],
    ] as const) {
      it(`where the codes of RFC 6749 are spoken, a wrong ${secret} is ${code}`, async () => {
        bench.instance.profile.update({ oauthErrors: 'rfc' });
        const auth = bench.byRefreshToken();
        bench.surroundings.secrets.set(secret, 'a-wrong-one');
        expect((await failureOf(() => bench.check(auth, QUESTION))).code).to.equal(code);
        expect(tokenCalls(bench.instance)).to.have.length(1);
      });
    }

    it('a log-in page in the place of a token is told apart', async () => {
      bench.instance.faults.add({ fault: 'login-html', match: { route: 'token' } });
      const error = await failureOf(() => bench.check(bench.byRefreshToken(), QUESTION));
      expect(error.code).to.equal('token.not-json');
      expect(error.hint).to.contain('Check the token URL');
    });

    it('the id token is no access token: where one is demanded and none comes, that is said', async () => {
      const error = await failureOf(() =>
        bench.check(bench.byRefreshToken({ tokenType: 'id_token' }), QUESTION),
      );
      expect(error).to.include({ code: 'token.missing-id-token', retryable: false });
      expect(error.hint).to.contain('openid');
    });

    it('a server that rotates after all: the new one is sent from then on, and every result warns', async () => {
      bench.instance.faults.add({ fault: 'token-rotated' });
      const auth = bench.byRefreshToken();
      for (const expected of [1, 2, 3]) {
        const { warnings } = await bench.check(auth, QUESTION);
        expect(warnings.map(({ code }) => code)).to.deep.equal([OUTDATED]);
        const { warnings: reported } = await bench.validate(auth);
        expect(reported.map(({ code }) => code)).to.include(OUTDATED);
        const sent = tokenCalls(bench.instance).map((call) => formOf(call)['refresh_token']);
        expect(sent, 'one of the check, one of the test').to.have.length(2 * expected);
        expect(new Set(sent).size, 'none is sent twice').to.equal(sent.length);
        await clock.advance(1_800_000);
      }
    });

    it('the warning comes with a connection that fails, too', async () => {
      bench.instance.faults.add({ fault: 'token-rotated' });
      bench.instance.faults.add({ fault: 'forbidden-acl' });
      const report = await bench.validate(bench.byRefreshToken());
      expect(report.status).to.equal('FAILURE');
      expect(report.warnings.map(({ code }) => code)).to.deep.equal([OUTDATED]);
    });
  });

  describe('at a real OpenID provider', () => {
    let provider: OidcProvider;
    let bench: Bench;
    let clock: ManualClock;
    let sent: HttpRequest[];
    let stored: string;
    let auth: AuthInput;

    const open = async (options: OidcProviderOptions, writable: string[] = []): Promise<void> => {
      clock = new ManualClock();
      sent = [];
      provider = await startOidcProvider(options);
      bench = await openBench({
        clock,
        writable,
        // The provider and its tokens live by real time; only the delegate's cache goes by the hands.
        instance: { clock: systemClock },
        http: (real) => ({
          send(request) {
            sent.push(request);
            return real.send(request);
          },
          probe: (url, signal) => real.probe(url, signal),
        }),
      });
      auth = await joinOidcProvider(bench, provider);
      stored = bench.surroundings.secrets.get('refresh-token') ?? '';
    };
    afterEach(async () => {
      await bench[Symbol.asyncDispose]();
      await provider.close();
    });

    const exchanges = (): HttpRequest[] => sent.filter(({ url }) => url.href === provider.tokenEndpoint.href);
    const refreshTokensSent = (): (string | null)[] =>
      exchanges().map(({ body }) => new URLSearchParams(body).get('refresh_token'));
    const tokenEnds = (): Promise<void> => clock.advance(3_600_000);

    it('with tokenType id_token the id token is the bearer, and stands for its subject', async () => {
      await open({ rotation: false });
      expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
      expect(tableCalls(bench.instance)[0]?.user).to.equal(provider.accountId);
    });

    it('without it the access token is the bearer, though an id token came along', async () => {
      await open({ rotation: false });
      const byAccessToken = { ...auth, spec: { ...auth.spec, tokenType: undefined } };
      const error = await failureOf(() => bench.check(byAccessToken, QUESTION));
      expect(error.code, 'the instance knows no opaque token').to.equal('servicenow.not-authenticated');
      expect(tableCalls(bench.instance)[0]?.headers.authorization).to.match(/^Bearer [\w-]+$/);
    });

    it('without rotation the stored one is sent each time, without a warning', async () => {
      await open({ rotation: false });
      await bench.check(auth, QUESTION);
      await tokenEnds();
      const { warnings } = await bench.check(auth, QUESTION);
      expect(refreshTokensSent()).to.deep.equal([stored, stored]);
      expect(warnings).to.deep.equal([]);
    });

    it('with rotation the new one is sent next time, the old one never again, and every result warns', async () => {
      await open({ rotation: true });
      for (let round = 0; round < 3; round += 1) {
        const { decision, warnings } = await bench.check(auth, QUESTION);
        expect(decision).to.equal('approved');
        expect(warnings.map(({ code }) => code)).to.deep.equal([OUTDATED]);
        expect(warnings[0]?.hint).to.contain('DELEGATE_WRITABLE_SECRETS');
        await tokenEnds();
      }
      const refreshTokens = refreshTokensSent();
      expect(refreshTokens[0]).to.equal(stored);
      expect(new Set(refreshTokens).size).to.equal(3);
    });

    it('with rotation into a store that may be written, nothing is to be warned of', async () => {
      await open({ rotation: true }, ['test:refresh-token']);
      for (let round = 1; round <= 3; round += 1) {
        const { warnings } = await bench.check(auth, QUESTION);
        expect(warnings).to.deep.equal([]);
        expect(bench.surroundings.secrets.get('refresh-token')).not.to.be.oneOf(refreshTokensSent());
        expect(bench.surroundings.kept.size).to.equal(0);
        await tokenEnds();
      }
      expect(new Set(refreshTokensSent()).size).to.equal(3);
    });

    it('one that the customer puts into the store takes the place of the rotated one, and the warning ends', async () => {
      await open({ rotation: true });
      await bench.check(auth, QUESTION);
      const renewed = await provider.issueRefreshToken();
      bench.surroundings.secrets.set('refresh-token', renewed);
      await bench.check(auth, QUESTION);
      expect(refreshTokensSent()).to.deep.equal([stored, renewed]);
    });

    it('two connectors with one refresh token never send a replaced one, however they race', async () => {
      await open({ rotation: true });
      const decisions = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => {
          const connector = { identifier: index % 2 === 0 ? 'one' : 'other' };
          return (await bench.check(auth, QUESTION, { connector })).decision;
        }),
      );
      expect(new Set(decisions)).to.deep.equal(new Set(['approved']));
      expect(new Set(refreshTokensSent()).size).to.equal(2).and.equal(exchanges().length);
    });

    it('a client refused in the body is tried by Basic, if the server asks for it, and then works', async () => {
      await open({ rotation: false, credentials: 'basic' });
      expect((await bench.check(auth, QUESTION)).decision).to.equal('approved');
      const [inBody, byBasic, ...more] = exchanges();
      expect(more).to.deep.equal([]);
      expect(inBody?.headers).not.to.have.property('authorization');
      expect(byBasic?.headers['authorization']).to.match(/^Basic /);
      expect([...new URLSearchParams(byBasic?.body).keys()]).to.deep.equal(['grant_type', 'refresh_token']);
    });

    it('a wrong client secret is refused once in each place, and no more', async () => {
      await open({ rotation: false });
      bench.surroundings.secrets.set('client-secret', 'a-wrong-one');
      const error = await failureOf(() => bench.check(auth, QUESTION));
      expect(error).to.include({ code: 'token.invalid-client', category: 'credentials' });
      expect(exchanges().length).to.be.at.most(2);
      expect(tableCalls(bench.instance)).to.deep.equal([]);
    });
  });
});
