import { isTransportFailure, type HttpResponse, type HttpSend } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import { OAuthFailure } from './token-failure.ts';
import { readTokenResponse, type ProtectToken, type TokenAnswer } from './token-response.ts';

const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export interface AssertionGrant {
  endpoint: URL;
  clientId: Secret;
  /** From `signClientAssertion`; used once. */
  assertion: Secret;
  /** The identifier under which the token server knows ServiceNow. */
  resource: Secret;
}

export interface RefreshTokenGrant {
  endpoint: URL;
  clientId: Secret;
  /** Undefined for a public client. */
  clientSecret: Secret | undefined;
  refreshToken: Secret;
  /** Undefined: whatever the refresh token was issued for. */
  scope: string | undefined;
}

/** Where a client's id and secret travel (RFC 6749, section 2.3.1). */
export type CredentialsPlace = 'body' | 'basic';

/** A form and the headers beside it; both hold secrets. */
export interface TokenRequest {
  endpoint: URL;
  form: URLSearchParams;
  authorization: string | undefined;
}

export interface ExchangeContext {
  send: HttpSend;
  protect: ProtectToken;
  /** Replaces every remembered secret in a text, which may repeat what was sent. */
  scrub: (text: string) => string;
  signal: AbortSignal;
}

/** RFC 7523, section 2.2, with AD FS' `resource`: without it the token would be for AD FS itself. */
export function assertionRequest(grant: AssertionGrant): TokenRequest {
  return {
    endpoint: grant.endpoint,
    form: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: grant.clientId.reveal(),
      client_assertion_type: CLIENT_ASSERTION_TYPE,
      client_assertion: grant.assertion.reveal(),
      resource: grant.resource.reveal(),
    }),
    authorization: undefined,
  };
}

/** RFC 6749, section 6. */
export function refreshTokenRequest(grant: RefreshTokenGrant, place: CredentialsPlace): TokenRequest {
  const { clientSecret, scope } = grant;
  const inBody = place === 'body' || clientSecret === undefined;
  return {
    endpoint: grant.endpoint,
    form: new URLSearchParams({
      grant_type: 'refresh_token',
      ...(inBody ? { client_id: grant.clientId.reveal() } : {}),
      ...(inBody && clientSecret !== undefined ? { client_secret: clientSecret.reveal() } : {}),
      refresh_token: grant.refreshToken.reveal(),
      ...(scope === undefined ? {} : { scope }),
    }),
    authorization: inBody ? undefined : basic(grant.clientId, clientSecret),
  };
}

/** @throws OAuthFailure, or what `send` rejects with */
export function redeemAssertion(grant: AssertionGrant, context: ExchangeContext): Promise<TokenAnswer> {
  return exchange(assertionRequest(grant), context);
}

/**
 * Credentials go in the body, which every server met in the field takes, ServiceNow and AD FS among them. One
 * that refuses the client and asks for Basic gets Basic, once: `invalid_client` means that the refresh token was
 * not looked at, so nothing is used up by asking again.
 *
 * @throws OAuthFailure, or what `send` rejects with
 */
export async function redeemRefreshToken(
  grant: RefreshTokenGrant,
  context: ExchangeContext,
): Promise<TokenAnswer> {
  try {
    return await exchange(refreshTokenRequest(grant, 'body'), context);
  } catch (error) {
    if (grant.clientSecret === undefined || !asksForBasic(error)) throw error;
    return await exchange(refreshTokenRequest(grant, 'basic'), context);
  }
}

async function exchange(request: TokenRequest, context: ExchangeContext): Promise<TokenAnswer> {
  const { endpoint, form, authorization } = request;
  const response = await sent(
    context.send({
      method: 'POST',
      url: endpoint,
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: form.toString(),
      signal: context.signal,
    }),
    endpoint,
  );
  return readTokenResponse(response, { endpoint, protect: context.protect, scrub: context.scrub });
}

/** The transport names the host alone, which may be that of ServiceNow as well. */
async function sent(sending: Promise<HttpResponse>, { origin, pathname }: URL): Promise<HttpResponse> {
  try {
    return await sending;
  } catch (thrown) {
    if (!isTransportFailure(thrown)) throw thrown;
    throw thrown.retold({ message: `The token endpoint ${origin}${pathname}: ${thrown.message}` });
  }
}

function asksForBasic(error: unknown): boolean {
  return error instanceof OAuthFailure && error.code === 'token.invalid-client' && error.refusal.asksForBasic;
}

/** RFC 6749, section 2.3.1: each part is form-encoded before the two are joined. */
function basic(clientId: Secret, clientSecret: Secret): string {
  const pair = [clientId, clientSecret].map((part) => formEncode(part.reveal())).join(':');
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

function formEncode(value: string): string {
  return new URLSearchParams({ v: value }).toString().slice(2);
}
