import { errorsOf, type ErrorKinds } from '../kit/errors.ts';

const CHECK_THE_ADDRESS =
  'Check the token URL: this address answers, but not as a token endpoint (a sign-in page, a portal or a proxy may stand there).';

/** Why a token endpoint gave no token, or what is to be known of the one it gave. */
export const TOKEN_ERRORS = {
  'token.throttled': {
    category: 'throttled',
    retryable: true,
    means: 'The token server answered 429: it takes no more requests of this client for now.',
    remedy: 'The token server limits the number of requests; wait, and see who else uses this client.',
  },
  'token.unavailable': {
    category: 'unavailable',
    retryable: true,
    means: 'The token server answered 408 or 5xx, or said that it is unavailable.',
    remedy:
      'The token server is down or restarting, or a proxy before it is; the credentials were not judged.',
  },
  'token.timeout': {
    category: 'timeout',
    retryable: true,
    means: 'The exchange for a token took longer than the delegate waits.',
    remedy: 'The token server is slow or does not answer; check it, and the proxy on the way.',
  },
  'token.closed': {
    category: 'cancelled',
    retryable: true,
    means: 'A token was asked for while the delegate was stopping.',
    remedy: 'Nothing has to be done: the task runs again when a delegate is there.',
  },
  'token.denied': {
    category: 'credentials',
    means: 'The token server refused the credentials with 401 and does not say which of them.',
    remedy:
      'Check client id, client secret and refresh token, and that its user is active and not locked. The server does not say which of these it is: the ' +
      'client id or client secret is wrong; the refresh token is unknown, revoked or expired (ServiceNow: 100 days after it was first issued); its user ' +
      'is inactive, locked out, must change the password or needs multi-factor authentication; the grant type is disabled; or no OAuth application ' +
      'user is set.',
  },
  'token.invalid-client': {
    category: 'credentials',
    means: 'The token server does not know the client, or refused its secret or its signed assertion.',
    remedy:
      'Check the client id and its secret, or its certificate, against what is registered on the token server.',
  },
  'token.invalid-grant': {
    category: 'credentials',
    means: 'The token server refused the refresh token.',
    remedy:
      'The refresh token is expired, revoked, already used, or of another client: obtain a new one and store it. On a server that rotates refresh tokens, only one place may hold it.',
  },
  'token.not-permitted': {
    category: 'permission',
    means: 'The token server knows the client and does not allow it what it asked for.',
    remedy: 'Allow this client the resource, scope and grant type on the token server.',
  },
  'token.unsupported-grant-type': {
    category: 'invalid-input',
    means: 'The token server does not offer this way to obtain a token.',
    remedy: 'Enable this grant type on the token server, or choose the authentication that it offers.',
  },
  'token.invalid-scope': {
    category: 'invalid-input',
    means: 'The token server refused the scope.',
    remedy: 'Correct the scope, or leave it out to get what the refresh token was issued for.',
  },
  'token.invalid-request': {
    category: 'invalid-input',
    means: 'The token server could not read the request.',
    remedy:
      'The token server misses a parameter or refuses one: check the token URL, the scope and the resource.',
  },
  'token.invalid-resource': {
    category: 'invalid-input',
    means: 'The token server knows no resource by the identifier that was sent.',
    remedy: 'Compare the resource id with the identifiers registered on the token server.',
  },
  'token.redirected': {
    category: 'bad-response',
    means: 'The token URL answered with a redirect, which is never followed with credentials.',
    remedy: CHECK_THE_ADDRESS,
  },
  'token.not-found': {
    category: 'not-found',
    means: 'The token URL answered 404.',
    remedy: CHECK_THE_ADDRESS,
  },
  'token.not-json': {
    category: 'bad-response',
    means: 'The token URL answered with something that is not JSON, such as a page for people.',
    remedy: CHECK_THE_ADDRESS,
  },
  'token.bad-response': {
    category: 'bad-response',
    means: 'The token URL answered in a way that no token endpoint does.',
    remedy: CHECK_THE_ADDRESS,
  },
  'token.missing-access-token': {
    category: 'bad-response',
    means: 'The answer of the token URL is JSON and has no access_token.',
    remedy: CHECK_THE_ADDRESS,
  },
  'token.missing-id-token': {
    category: 'bad-response',
    means: 'The connector asks for the id token, and the token server sent none.',
    remedy: 'Add openid to the scope, or set tokenType to access_token.',
  },
  'token.not-bearer': {
    category: 'bad-response',
    means: 'The token server issued a token of another type than bearer.',
    remedy: 'Only bearer tokens can be used: switch proof of possession off for this client.',
  },
  'token.unusable-access-token': {
    category: 'bad-response',
    means: 'The access token could not be sent in a header.',
    remedy: 'The token is too long or has characters that no header may carry.',
  },
  'token.unusable-id-token': {
    category: 'bad-response',
    means: 'The id token could not be sent in a header.',
    remedy: 'The id token is too long or has characters that no header may carry.',
  },
  'token.unusable-refresh-token': {
    category: 'bad-response',
    means: 'The refresh token in the answer is longer than any real one.',
    remedy: 'The refresh token is too long to be one: check the token URL and what stands before it.',
  },
  'token.stored-refresh-token-outdated': {
    category: 'credentials',
    means:
      'The token server has replaced the refresh token. The delegate keeps the new one, encrypted, in its state folder; the one in the secret store is about to stop working.',
    remedy:
      'The new one survives restarts of this delegate and is lost with its state folder. Allow the delegate to write it back (DELEGATE_WRITABLE_SECRETS), or use a client with persistent refresh tokens.',
  },
  'token.refresh-token-not-kept': {
    category: 'credentials',
    means:
      'The token server has replaced the refresh token, and the new one could be written neither to the secret store nor to the state folder.',
    remedy:
      'The new refresh token is lost when the delegate stops, and the stored one works no more: make the state folder writable before that, or store a new refresh token. The delegate log says what failed.',
  },
} as const satisfies ErrorKinds;

export type TokenErrorCode = keyof typeof TOKEN_ERRORS;

export const tokenError = errorsOf(TOKEN_ERRORS);
