import {
  createDevelopmentCertificate,
  startFakeAdfs,
  type FakeAdfs,
} from '../../src/dev/fake-identity/index.ts';
import type { Fault } from '../../src/dev/fake-identity/faults.ts';
import { startOidcProvider } from '../support/oidc-provider.ts';
import { joinAdfs, listen, QUESTION, type AuthInput } from '../support/servicenow.ts';
import { once } from './once.ts';
import { faultCase, ONE_ATTEMPT_MS, type Look, type ReportCase, type Scene } from './case.ts';

/** Section B: who is asking. */

type Secrets = Scene['bench']['surroundings']['secrets'];

interface AdfsScene extends Scene {
  readonly adfs: FakeAdfs;
  readonly auth: AuthInput;
  readonly secrets: Secrets;
}

const own = once(() => createDevelopmentCertificate({ commonName: 'the delegate' }));
const stranger = once(() => createDevelopmentCertificate({ commonName: 'somebody else' }));
const signing = once(() => createDevelopmentCertificate({ commonName: 'AD FS' }));

/** A case in which an AD FS gives the tokens. */
function adfsCase(
  id: string,
  title: string,
  server: string,
  expected: string,
  change: (scene: AdfsScene) => void | Promise<void>,
  more: Partial<ReportCase> = {},
): ReportCase {
  return {
    id,
    title,
    server,
    expected,
    async arrange(scene) {
      const adfs = scene.keep(await startFakeAdfs({ signing: await signing() }));
      const auth = joinAdfs(scene.bench, adfs, await own());
      await change({ ...scene, adfs, auth, secrets: scene.bench.surroundings.secrets });
      return { auth };
    },
    ...more,
  };
}

function adfsFault(
  id: string,
  title: string,
  server: string,
  name: Fault['name'],
  expected: string,
  more: Partial<ReportCase> = {},
): ReportCase {
  return adfsCase(id, title, server, expected, ({ adfs }) => adfs.faults.add({ name }), more);
}

/** A case in which ServiceNow's own token server renews an access token. */
function refreshCase(
  id: string,
  title: string,
  server: string,
  expected: string,
  arrange: (scene: Scene) => Look | void | Promise<Look | void>,
  more: Partial<ReportCase> = {},
): ReportCase {
  return {
    id,
    title,
    server,
    expected,
    async arrange(scene) {
      const auth = scene.bench.byRefreshToken();
      return { auth, ...(await arrange(scene)) };
    },
    ...more,
  };
}

/** A token server that says one thing to everybody. */
async function tokenServerSaying(
  { bench, keep }: Scene,
  status: number,
  said: Readonly<Record<string, unknown>>,
): Promise<Look> {
  const server = keep(
    await listen((_request, response) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(said)),
    ),
  );
  return { auth: bench.byRefreshToken({ tokenUrl: `${server.url}/token` }) };
}

export const SIGNING_ON: readonly ReportCase[] = [
  {
    id: 'B12',
    title: 'Wrong password',
    server: '401 "User Not Authenticated"',
    expected: 'servicenow.not-authenticated',
    arrange({ bench }) {
      const auth = bench.asUser('svc_deploy');
      bench.surroundings.secrets.set('password-of-svc_deploy', 'not-the-password');
      return { auth };
    },
  },
  {
    id: 'B13',
    title: 'User inactive',
    server: '401, the same answer',
    expected: 'servicenow.not-authenticated',
    arrange({ bench }) {
      bench.instance.users.update('svc_deploy', { active: false });
      return { auth: bench.asUser('svc_deploy') };
    },
  },
  {
    id: 'B14',
    title: 'Role for basic authentication missing',
    server: '401, the same answer',
    expected: 'servicenow.not-authenticated',
    arrange: ({ bench }) => ({ auth: bench.asUser('svc_nobasic') }),
  },
  {
    id: 'B15',
    title: 'User with a second factor',
    server: '401 with X-MFA_TOKEN',
    expected: 'servicenow.mfa-required',
    arrange: ({ bench }) => ({ auth: bench.asUser('svc_mfa') }),
  },
  {
    id: 'B16',
    title: 'Password with a colon and beyond ASCII',
    server: 'Works',
    expected: 'approved',
    arrange: ({ bench }) => ({ auth: bench.asUser('svc_deploy') }),
  },
  refreshCase(
    'B17',
    'Refresh token expired',
    '401 `{"error":"server_error"}`',
    'token.denied',
    ({ bench }) => {
      bench.surroundings.secrets.set('refresh-token', 'one-that-has-expired');
    },
  ),
  refreshCase(
    'B17b',
    'Client secret changed',
    '401 `{"error":"server_error"}`',
    'token.denied',
    ({ bench }) => {
      bench.surroundings.secrets.set('client-secret', 'an-old-one');
    },
  ),
  refreshCase(
    'B17c',
    'Client secret changed, newer server',
    '401 `{"error":"invalid_client"}`',
    'token.invalid-client',
    ({ bench }) => {
      bench.instance.profile.update({ oauthErrors: 'rfc' });
      bench.surroundings.secrets.set('client-secret', 'an-old-one');
    },
  ),
  refreshCase(
    'B17d',
    'Refresh token expired, newer server',
    '401 `{"error":"invalid_grant"}`',
    'token.invalid-grant',
    ({ bench }) => {
      bench.instance.profile.update({ oauthErrors: 'rfc' });
      bench.surroundings.secrets.set('refresh-token', 'one-that-has-expired');
    },
  ),
  refreshCase(
    'B17e',
    'Grant type switched off',
    '400 `{"error":"unsupported_grant_type"}`',
    'token.unsupported-grant-type',
    (scene) => tokenServerSaying(scene, 400, { error: 'unsupported_grant_type' }),
  ),
  refreshCase(
    'B17f',
    'Scope that the client may not ask for',
    '400 `{"error":"invalid_scope"}`',
    'token.invalid-scope',
    (scene) => tokenServerSaying(scene, 400, { error: 'invalid_scope' }),
  ),
  refreshCase(
    'B17g',
    'Okta: refresh token expired',
    '400 `{"error":"invalid_grant"}`, in words of its own',
    'token.invalid-grant',
    (scene) =>
      tokenServerSaying(scene, 400, {
        error: 'invalid_grant',
        error_description: 'The refresh token is invalid or expired.',
      }),
  ),
  refreshCase(
    'B17h',
    'Bearer that ServiceNow does not know',
    '200 with an opaque token, then 401',
    'servicenow.not-authenticated',
    (scene) =>
      tokenServerSaying(scene, 200, {
        access_token: 'a-token-of-another-server',
        token_type: 'Bearer',
        expires_in: 1_800,
      }),
  ),
  refreshCase(
    'B18',
    'Refresh token replaced',
    '200 with a new refresh token',
    'approved + token.stored-refresh-token-outdated',
    ({ bench }) => {
      bench.instance.faults.add({ fault: 'token-rotated', match: { route: 'token' } });
    },
  ),
  refreshCase(
    'B19',
    'Two tasks at once, refresh token replaced each time',
    '200 with a new refresh token',
    'approved + token.stored-refresh-token-outdated',
    ({ bench }) => {
      bench.instance.faults.add({ fault: 'token-rotated', match: { route: 'token' } });
      return { beside: QUESTION };
    },
  ),
  {
    id: 'B18b',
    title: 'Refresh token revoked at a server that replaces them',
    server: '400 `{"error":"invalid_grant"}`',
    expected: 'token.invalid-grant',
    // The client's id is "delegate", a secret here, and a key of the other task's report.
    tasks: ['check'],
    async arrange({ bench, keep }) {
      const provider = keep(await startOidcProvider({ rotation: true }));
      const auth = bench.byRefreshToken({ tokenUrl: provider.tokenEndpoint.href });
      bench.surroundings.secrets
        .set('client-id', provider.clientId)
        .set('client-secret', provider.clientSecret)
        .set('refresh-token', 'one-that-was-revoked');
      return { auth };
    },
  },
  refreshCase(
    'B20',
    'Access token ended before its time',
    '401 once, then a new token works',
    'approved',
    ({ bench }) => {
      bench.instance.faults.add({ fault: 'oauth-refusal', match: { route: 'table' }, times: 1 });
    },
  ),
  {
    id: 'B21',
    title: 'API key in the place of a password',
    server: '401',
    expected: 'servicenow.not-authenticated',
    arrange({ bench }) {
      const auth = bench.asUser('svc_deploy');
      bench.surroundings.secrets.set('password-of-svc_deploy', 'now_apikey_0123456789');
      return { auth };
    },
  },
  adfsCase(
    'B22',
    'AD FS does not know the certificate',
    '400 invalid_client, MSIS9622',
    'token.invalid-client',
    async ({ secrets }) => {
      const { certificatePem, pkcs8Pem } = await stranger();
      secrets.set('certificate', certificatePem).set('private-key', pkcs8Pem);
    },
  ),
  adfsCase(
    'B22b',
    'AD FS does not know the client',
    '400 invalid_client, MSIS9607',
    'token.invalid-client',
    ({ secrets }) => {
      secrets.set('adfs-client-id', 'nobody');
    },
  ),
  adfsCase(
    'B22c',
    'Key of another certificate',
    'Is not asked',
    'key-material.certificate-key-mismatch',
    async ({ secrets }) => {
      secrets.set('private-key', (await stranger()).pkcs8Pem);
    },
  ),
  adfsCase(
    'B23',
    'AD FS does not know the resource',
    '400 invalid_resource, MSIS9602',
    'token.invalid-resource',
    ({ secrets }) => {
      secrets.set('resource-id', 'urn:nowhere');
    },
  ),
  adfsCase(
    'B23b',
    'Client without permission for the resource',
    '400 access_denied, MSIS9605',
    'token.not-permitted',
    ({ adfs, secrets }) => {
      adfs.registerResource('urn:other');
      secrets.set('resource-id', 'urn:other');
    },
  ),
  adfsCase(
    'B23c',
    'Client without any permission',
    '400 unauthorized_client, MSIS9611',
    'token.not-permitted',
    async ({ adfs, secrets }) => {
      adfs.registerClient({
        clientId: 'without-permission',
        certificatePem: (await own()).certificatePem,
        permissions: [],
      });
      secrets.set('adfs-client-id', 'without-permission');
    },
  ),
  adfsCase(
    'B24',
    'AD FS grants, ServiceNow refuses: wrong audience',
    '401 "User Not Authenticated" to a bearer',
    'servicenow.not-authenticated',
    ({ adfs, bench }) => {
      bench.instance.issuers.trust({
        issuer: adfs.issuer,
        jwks: `${adfs.url}/adfs/discovery/keys`,
        audience: 'somebody else',
        userClaim: 'upn',
        userField: 'user_name',
      });
    },
  ),
  adfsCase(
    'B24b',
    'AD FS grants, ServiceNow knows no such user',
    '401 "User Not Authenticated" to a bearer',
    'servicenow.not-authenticated',
    ({ bench }) => void bench.instance.users.update('svc_deploy', { active: false }),
  ),
  adfsFault('B25', 'AD FS fails', '400 server_error', 'server-error', 'token.unavailable'),
  adfsFault(
    'B25b',
    'AD FS behind a proxy that is down',
    '503, page',
    'unavailable-html',
    'token.unavailable',
  ),
  adfsFault('B25c', 'Wrong path of AD FS', '404, empty', 'not-found', 'token.not-found'),
  adfsFault('B25d', 'Page in place of a token', '200, page', 'html-as-success', 'token.not-json'),
  adfsFault('B25e', 'Token endpoint that signs people on', '302', 'redirect', 'token.redirected'),
  adfsFault('B25f', 'Token endpoint throttled', '429, Retry-After: 7', 'throttled', 'token.throttled'),
  adfsFault('B25g', 'Token cut', '200, half of the JSON', 'truncated', 'token.not-json'),
  adfsFault('B25h', 'Token that is not a bearer', '200, token_type pop', 'not-bearer', 'token.not-bearer'),
  adfsFault(
    'B25i',
    'Answer without a token',
    '200, no access_token',
    'missing-access-token',
    'token.missing-access-token',
  ),
  adfsFault(
    'B25j',
    'Refusal that nobody has heard of',
    '400 invalid_request, MSIS0000',
    'unknown-refusal',
    'token.invalid-request',
  ),
  adfsFault(
    'B25k',
    'Entra ID: certificate not registered',
    '401 invalid_client, AADSTS700027',
    'entra-unknown-certificate',
    'token.invalid-client',
  ),
  adfsFault('B25l', 'Token endpoint that resets', 'Resets the connection', 'reset', 'network.reset'),
  adfsFault(
    'B25m',
    'Token endpoint that is silent',
    'Takes the request and stays silent',
    'stall',
    'network.answer-timeout',
    { tasks: ['check'], timeMs: ONE_ATTEMPT_MS, timeouts: { answerTimeoutMs: 150 } },
  ),
  adfsFault('B26', 'expires_in as text', '200, `"expires_in":"3600"`', 'string-expires-in', 'approved'),
  adfsFault('B26b', 'expires_in missing', '200 without it', 'missing-expires-in', 'approved'),
  refreshCase(
    'B27',
    'Slash behind oauth_token.do',
    'Would be the log-in page; is cut',
    'approved',
    ({ bench }) => ({
      auth: bench.byRefreshToken({ tokenUrl: `${bench.instance.url}/oauth_token.do/` }),
    }),
  ),
  refreshCase('B27b', 'Log-in page in place of a token', '200, page', 'token.not-json', ({ bench }) => {
    bench.instance.faults.add({ fault: 'login-html', match: { route: 'token' } });
  }),
  faultCase(
    'B28',
    'Session cookies set twice',
    'Sets cookies, which nobody sends back',
    'duplicate-set-cookie',
    'approved',
  ),
  {
    id: 'B29',
    title: 'Secret that is not there',
    server: 'Is not asked',
    expected: 'secret-not-found',
    tasks: ['check', 'validate'],
    arrange: () => ({
      auth: { type: 'UsernamePassword', spec: { username: 'svc_deploy', passwordRef: 'test:nowhere' } },
    }),
  },
];
