import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import MemoryAdapter from 'oidc-provider/lib/adapters/memory_adapter.js';
import { listenOnLoopback } from './listen.ts';

const CLIENT_ID = 'delegate';
const CLIENT_SECRET = 'oidc-client-secret/with+signs=&more';
const ACCOUNT_ID = 'svc_deploy';
const SCOPE = 'openid offline_access';

export interface OidcProviderOptions {
  /** Whether each refresh consumes its refresh token and issues another. */
  rotation: boolean;
  /** Where the client's credentials are taken from; `body` unless given. A refusal then asks for Basic. */
  credentials?: 'body' | 'basic';
}

/** A real OpenID provider with one confidential client. */
export interface OidcProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly tokenEndpoint: URL;
  readonly clientId: string;
  readonly clientSecret: string;
  /** The `sub` of its id tokens. */
  readonly accountId: string;
  /** A refresh token as a person's consent would have brought it, made without the browser. */
  issueRefreshToken(): Promise<string>;
  close(): Promise<void>;
}

export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const { rotation, credentials = 'body' } = options;
  // The issuer is part of the provider's configuration, so the port has to be known first.
  const server = createServer();
  const issuer = `http://127.0.0.1:${await listenOnLoopback(server)}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const provider = new Provider(issuer, {
    // Through a function, since the provider prints a warning when it is given its own adapter.
    adapter: (model: string) => new MemoryAdapter(model),
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: ['https://client.example.com/callback'],
        token_endpoint_auth_method: `client_secret_${credentials === 'body' ? 'post' : 'basic'}`,
      },
    ],
    cookies: { keys: ['test'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'test' }] },
    rotateRefreshToken: rotation,
    ttl: { AccessToken: 3_600, Grant: 86_400, IdToken: 3_600, RefreshToken: 86_400 },
  });
  if (credentials === 'basic') {
    // The provider reads both places, whatever a client is registered for; stricter servers do not.
    provider.use(async (context, next) => {
      if (context.get('authorization') !== '') return await next();
      context.status = 401;
      context.body = { error: 'invalid_client' };
      context.set('WWW-Authenticate', 'Basic realm="test"');
    });
  }
  server.on('request', provider.callback());
  const close = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.close((error) => (error === undefined ? resolve() : reject(error)));
      server.closeAllConnections();
    });
  return {
    issuer,
    tokenEndpoint: new URL('/token', issuer),
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    accountId: ACCOUNT_ID,
    issueRefreshToken: () => issueRefreshToken(provider),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function issueRefreshToken(provider: Provider): Promise<string> {
  const client = await provider.Client.find(CLIENT_ID);
  if (client === undefined) throw new Error('the provider does not know its client');
  const grant = new provider.Grant({ accountId: ACCOUNT_ID, clientId: CLIENT_ID });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId: ACCOUNT_ID,
    client,
    grantId,
    gty: 'authorization_code',
    scope: SCOPE,
  });
  return await token.save();
}
