/** `simple-oauth2` 5.1.0 (Apache-2.0): the OAuth client of, among others, Backstage's ServiceNow plugin. */
import { expect } from 'chai';
import { ClientCredentials, ResourceOwnerPassword, type ModuleOptions } from 'simple-oauth2';
import { z } from 'zod';
import {
  OAUTH,
  PASSWORDS,
  startFakeServiceNow,
  type FakeServiceNow,
} from '../../../src/dev/fake-servicenow/index.ts';
import { leavesNothingOpen } from '../../support/open-handles.ts';
import { bearer, exchange, table } from '../fake-servicenow/exchange.ts';

const tokenSchema = z.object({
  access_token: z.string(),
  refresh_token: z.string().optional(),
  scope: z.literal('useraccount'),
  token_type: z.literal('Bearer'),
  expires_in: z.number(),
});

describe('simple-oauth2 against the fake', () => {
  let servicenow: FakeServiceNow;

  beforeEach(async () => {
    servicenow = await startFakeServiceNow();
  });
  afterEach(() => servicenow.close());

  leavesNothingOpen();

  const settings = (authorizationMethod: 'body' | 'header' = 'body'): ModuleOptions => ({
    client: { id: OAUTH.clientId, secret: OAUTH.clientSecret },
    auth: {
      tokenHost: servicenow.url,
      tokenPath: '/oauth_token.do',
      revokePath: '/oauth_revoke_token.do',
    },
    options: { authorizationMethod },
  });
  const login = { username: 'svc_deploy', password: PASSWORDS.svc_deploy };
  const statusWith = async (token: string): Promise<number> =>
    (await exchange(servicenow.url + table('task', { sysparm_limit: '1' }), { headers: bearer(token) }))
      .status;

  it('gets a token for a password, with the client in the body or in the header', async () => {
    for (const method of ['body', 'header'] as const) {
      const { token } = await new ResourceOwnerPassword(settings(method)).getToken(login);
      expect(await statusWith(tokenSchema.parse(token).access_token)).to.equal(200);
    }
  });

  it('gets a token for the client itself, and no refresh token with it', async () => {
    const { token } = await new ClientCredentials(settings()).getToken({});
    expect(tokenSchema.parse(token)).to.not.have.property('refresh_token');
    expect(await statusWith(tokenSchema.parse(token).access_token)).to.equal(200);
  });

  it('a refresh answers the same tokens, and revoking ends them', async () => {
    const first = await new ResourceOwnerPassword(settings()).getToken(login);
    const again = await first.refresh();
    const { access_token: accessToken, refresh_token: refreshToken } = tokenSchema.parse(again.token);
    expect(tokenSchema.parse(first.token)).to.include({
      access_token: accessToken,
      refresh_token: refreshToken,
    });
    expect(again.expired()).to.equal(false);

    await again.revokeAll();
    expect(await statusWith(accessToken)).to.equal(401);
    const refused: unknown = await again.refresh().catch((error: unknown) => error);
    expect(refused).to.have.nested.property('output.statusCode', 401);
  });

  it('is refused a wrong password and a wrong client with one and the same answer', async () => {
    const wrong = { ...settings(), client: { id: OAUTH.clientId, secret: 'wrong' } };
    for (const attempt of [
      new ResourceOwnerPassword(settings()).getToken({ ...login, password: 'wrong' }),
      new ResourceOwnerPassword(wrong).getToken(login),
    ]) {
      const refused: unknown = await attempt.catch((error: unknown) => error);
      expect(refused).to.have.nested.property('output.statusCode', 401);
      expect(refused).to.have.deep.nested.property('data.payload', {
        error_description: 'access_denied',
        error: 'server_error',
      });
    }
  });
});
