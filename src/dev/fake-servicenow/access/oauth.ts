import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../kit/time.ts';
import { json, type Reply } from '../http/reply.ts';
import { login } from '../http/pages.ts';
import type { Profile } from '../profile.ts';
import { misuse } from '../errors.ts';
import { equalSecrets, type Accounts, type UserView } from './accounts.ts';
import { readBasic } from './basic.ts';

/** Default lifetimes of an OAuth entity. */
const ACCESS_TOKEN_LIFE_S = 1_800;
const REFRESH_TOKEN_LIFE_S = 8_640_000;

export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Who a `client_credentials` token acts as; without one that grant is refused. */
  readonly applicationUser?: string;
}

interface Token {
  readonly value: string;
  readonly userName: string;
  readonly clientId: string;
  /** On `Clock.now()`, milliseconds. */
  readonly expiresAt: number;
}

interface GrantRequest {
  readonly client: OAuthClient;
  readonly form: URLSearchParams;
}

/** A granted token request, or the answer that refuses it. */
export type TokenAnswer =
  | { readonly user: UserView; readonly body: TokenBody; readonly refusal?: never }
  | { readonly user?: never; readonly body?: never; readonly refusal: Reply };

export type TokenBody = Readonly<Record<string, unknown>>;

type Refusal = 'client' | 'grant' | 'no-application-user' | 'grant-type';

/** Almost every failure looks the same, and says `server_error` of what no repetition would heal. */
const CLASSIC_REFUSAL = { error_description: 'access_denied', error: 'server_error' };

const RFC_REFUSALS: Readonly<Record<Refusal, { status: number; body: Readonly<Record<string, string>> }>> = {
  client: {
    status: 401,
    body: { error: 'invalid_client', error_description: 'Invalid client_id or client_secret.' },
  },
  grant: { status: 401, body: { error: 'invalid_grant', error_description: 'access_denied' } },
  'no-application-user': {
    status: 401,
    body: { error: 'invalid_grant', error_description: 'access_denied: no OAuth application user set' },
  },
  'grant-type': { status: 400, body: { error: 'unsupported_grant_type' } },
};

/** ServiceNow as an authorization server: `/oauth_token.do`. */
export class OAuthServer {
  readonly #clock: Clock;
  readonly #accounts: Accounts;
  readonly #profile: () => Profile;
  readonly #clients: ReadonlyMap<string, OAuthClient>;
  readonly #accessTokens = new Map<string, Token>();
  readonly #refreshTokens = new Map<string, Token>();

  constructor(options: {
    clock: Clock;
    accounts: Accounts;
    profile: () => Profile;
    clients: readonly OAuthClient[];
  }) {
    this.#clock = options.clock;
    this.#accounts = options.accounts;
    this.#profile = options.profile;
    this.#clients = new Map(options.clients.map((client) => [client.clientId, client]));
  }

  answer(request: {
    method: string;
    authorization: string | undefined;
    contentType: string | undefined;
    body: string;
  }): TokenAnswer {
    if (request.method !== 'POST') return { refusal: login() };
    // Only a form is understood; anything else is as if nothing had been sent.
    const isForm =
      request.contentType?.toLowerCase().startsWith('application/x-www-form-urlencoded') ?? false;
    const form = new URLSearchParams(isForm ? request.body : '');
    const client = this.#clientOf(request.authorization, form);
    if (client === undefined) return this.#refuse('client');
    const grantType = form.get('grant_type') ?? '';
    const grant = Object.hasOwn(GRANTS, grantType) ? GRANTS[grantType] : undefined;
    return grant === undefined ? this.#refuse('grant-type') : grant(this, { client, form });
  }

  /** Who an access token stands for. */
  userOf(accessToken: string): UserView | undefined {
    const token = this.#live(this.#accessTokens, accessToken);
    return token === undefined ? undefined : this.#accounts.find(token.userName);
  }

  /** A refresh token as the authorization-code flow would have left it with the client. */
  issueRefreshToken(userName: string, clientId: string, value = randomToken()): string {
    if (!this.#clients.has(clientId))
      throw misuse('fake-servicenow.unknown-client', `There is no OAuth client ${clientId}.`);
    this.#accounts.get(userName);
    const expiresAt = this.#clock.now() + REFRESH_TOKEN_LIFE_S * 1_000;
    this.#refreshTokens.set(value, { value, userName, clientId, expiresAt });
    return value;
  }

  /** Replaces a refresh token by a new one, which ServiceNow itself never does but other servers do. */
  rotate(refreshToken: string): string | undefined {
    const token = this.#live(this.#refreshTokens, refreshToken);
    if (token === undefined) return undefined;
    this.#refreshTokens.delete(refreshToken);
    return this.issueRefreshToken(token.userName, token.clientId);
  }

  /** Ends a token of either kind at once, whoever asks: it proves enough to know the token. */
  revoke(token: string): void {
    this.#accessTokens.delete(token);
    this.#refreshTokens.delete(token);
  }

  /** Ends every access token, as an administrator may; refresh tokens live on. */
  revokeAccessTokens(): void {
    this.#accessTokens.clear();
  }

  refresh({ client, form }: GrantRequest): TokenAnswer {
    const refreshToken = this.#live(this.#refreshTokens, form.get('refresh_token') ?? '');
    if (refreshToken?.clientId !== client.clientId) return this.#refuse('grant');
    const shown = this.#profile().refreshReturnsToken ? refreshToken.value : undefined;
    return this.#grant(refreshToken.userName, client, shown);
  }

  password({ client, form }: GrantRequest): TokenAnswer {
    const user = this.#accounts.logIn(form.get('username') ?? '', form.get('password') ?? '');
    if (user === undefined || user.mfa) return this.#refuse('grant');
    return this.#grant(user.userName, client, this.#refreshTokenFor(user.userName, client));
  }

  clientCredentials({ client }: GrantRequest): TokenAnswer {
    if (client.applicationUser === undefined) return this.#refuse('no-application-user');
    return this.#grant(client.applicationUser, client, undefined);
  }

  /** The current access token with what is left of its life, or a new one: nothing rotates here. */
  #grant(userName: string, client: OAuthClient, refreshToken: string | undefined): TokenAnswer {
    const user = this.#accounts.find(userName);
    if (user === undefined || !user.active || user.lockedOut) return this.#refuse('grant');
    const token = this.#accessTokenFor(userName, client);
    const body = {
      access_token: token.value,
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
      scope: 'useraccount',
      token_type: 'Bearer',
      // Whole seconds that have surely not passed yet: a fresh token shows 1799.
      expires_in: Math.ceil((token.expiresAt - this.#clock.now()) / 1_000) - 1,
    };
    return { user, body };
  }

  #accessTokenFor(userName: string, client: OAuthClient): Token {
    for (const token of this.#accessTokens.values()) {
      const same = token.userName === userName && token.clientId === client.clientId;
      // A token in its last second would be answered as dead on arrival.
      const lives = token.expiresAt - this.#clock.now() > 1_000;
      if (same && lives) return token;
      if (!lives) this.#accessTokens.delete(token.value);
    }
    const value = randomToken();
    const expiresAt = this.#clock.now() + ACCESS_TOKEN_LIFE_S * 1_000;
    const token = { value, userName, clientId: client.clientId, expiresAt };
    this.#accessTokens.set(value, token);
    return token;
  }

  #refreshTokenFor(userName: string, client: OAuthClient): string {
    for (const token of this.#refreshTokens.values()) {
      const same = token.userName === userName && token.clientId === client.clientId;
      if (same && token.expiresAt > this.#clock.now()) return token.value;
    }
    return this.issueRefreshToken(userName, client.clientId);
  }

  #live(tokens: Map<string, Token>, value: string): Token | undefined {
    const token = tokens.get(value);
    if (token === undefined || token.expiresAt > this.#clock.now()) return token;
    tokens.delete(value);
    return undefined;
  }

  #clientOf(authorization: string | undefined, form: URLSearchParams): OAuthClient | undefined {
    const basic = readBasic(authorization);
    const client = this.#clients.get(form.get('client_id') ?? basic?.user ?? '');
    const secret = form.get('client_secret') ?? basic?.password ?? '';
    return client !== undefined && equalSecrets(client.clientSecret, secret) ? client : undefined;
  }

  #refuse(refusal: Refusal): TokenAnswer {
    const { status, body } =
      this.#profile().oauthErrors === 'classic'
        ? { status: 401, body: CLASSIC_REFUSAL }
        : RFC_REFUSALS[refusal];
    return { refusal: json(status, body) };
  }
}

const GRANTS: Readonly<Record<string, (server: OAuthServer, request: GrantRequest) => TokenAnswer>> = {
  refresh_token: (server, request) => server.refresh(request),
  password: (server, request) => server.password(request),
  client_credentials: (server, request) => server.clientCredentials(request),
};

/** As long as the real ones: 86 characters of base64url. */
function randomToken(): string {
  return randomBytes(64).toString('base64url');
}
