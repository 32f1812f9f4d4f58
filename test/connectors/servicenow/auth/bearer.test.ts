import { expect } from 'chai';
import { bearerAuthorization } from '../../../../src/connectors/servicenow/auth/bearer.ts';
import { usernamePassword } from '../../../../src/connectors/servicenow/auth/username-password.ts';
import { createRefreshTokens } from '../../../../src/connectors/servicenow/auth/refresh-tokens.ts';
import { noMetrics } from '../../../../src/observability/metrics.ts';
import { Redactor, Secret } from '../../../../src/kit/secret.ts';
import { systemClock } from '../../../../src/kit/time.ts';
import { TokenSource } from '../../../../src/oauth/token-source.ts';

describe('an Authorization header', () => {
  it('of a token is a secret', () => {
    const token = new Secret('token-of-a-test');
    const { header } = bearerAuthorization(
      { bearer: token, accessToken: token },
      (value) => new Secret(value),
    );
    expect(header.reveal()).to.equal('Bearer token-of-a-test');
    expect(String(header)).to.equal('[secret]');
  });

  it('of a token from memory is scrubbed with each use, however many secrets came since the last', () => {
    const redactor = new Redactor();
    const protect = (value: string): Secret => redactor.register(value);
    const accessToken = protect('an-access-token-for-an-hour');
    const bearer = protect('an-id-token-for-an-hour');
    for (let use = 0; use < 2; use += 1) {
      for (let index = 0; index < 1_500; index += 1) protect(`secret-${use}-${index}`);
      bearerAuthorization({ bearer, accessToken }, protect);
      expect(redactor.scrub(`${bearer.reveal()} ${accessToken.reveal()}`)).to.equal('[secret] [secret]');
    }
  });

  it('of a password registers the pair in base64, and not once more with its scheme', async () => {
    await using tokens = new TokenSource({ clock: systemClock, random: () => 0 });
    const unused = (): Promise<never> => Promise.reject(new Error('a password needs none of it'));
    const registered: string[] = [];
    const authentication = usernamePassword.open(
      { type: 'UsernamePassword', spec: { username: 'svc', passwordRef: 'test:password' } },
      new Map([['passwordRef', new Secret('word')]]),
      {
        send: () => Promise.reject(new Error('nothing is sent')),
        meter: noMetrics,
        clock: systemClock,
        tokens,
        refreshTokens: createRefreshTokens({
          clock: systemClock,
          secrets: { resolve: unused, replace: unused },
          kept: { read: unused, keep: unused, forget: unused },
        }),
        protect: (value) => {
          registered.push(value);
          return new Secret(value);
        },
        scrub: (text) => text,
        connector: 'test',
      },
    );
    const { header } = await authentication.authorize(AbortSignal.timeout(1_000));
    const pair = Buffer.from('svc:word').toString('base64');
    expect(header.reveal()).to.equal(`Basic ${pair}`);
    expect(registered).to.deep.equal([pair]);
  });
});
