import { DelegateError, type ErrorCategory, type ErrorDetails } from '../kit/errors.ts';

/** What kind of body came, judged by its first character and its media type together. */
export type ContentKind = 'json' | 'html' | 'empty' | 'other';

/** What a token endpoint answered instead of a token, as far as it may be printed. */
export interface TokenRefusal {
  /** Origin and path of the token endpoint. */
  readonly endpoint: string;
  readonly status: number;
  readonly contentKind: ContentKind;
  /** The `error` of RFC 6749, section 5.2, if it looks like one. */
  readonly error: string | undefined;
  /** Vendors' own codes, e.g. `MSIS9622`, `AADSTS700027`. */
  readonly errorCodes: readonly string[];
  /** The server's words, scrubbed, bounded and without control characters. */
  readonly serverText: string | undefined;
  /** From `Retry-After` or `X-Rate-Limit-Reset`. */
  readonly retryAfterMs: number | undefined;
  /** Whether `WWW-Authenticate` asks for Basic. */
  readonly asksForBasic: boolean;
  /** Origin and path of a redirect's target. */
  readonly location: string | undefined;
  /** The server's name for this request, by which its administrator finds it in the log. */
  readonly requestId: string | undefined;
}

/** What is wrong with an answer of status 2xx. */
export type AnswerFlaw =
  | 'not-json'
  | 'missing-access-token'
  | 'not-bearer'
  | 'unusable-access-token'
  | 'unusable-id-token'
  | 'unusable-refresh-token';

interface Judgement {
  code: string;
  category: ErrorCategory;
  retryable: boolean;
  hint: string;
}

/** A token endpoint gave no token. `code` is one of `token.…`; see `judge`. */
export class OAuthFailure extends DelegateError {
  readonly refusal: TokenRefusal;

  constructor(refusal: TokenRefusal, flaw?: AnswerFlaw) {
    const { code, category, retryable, hint } = judge(refusal, flaw);
    super(code, describe(refusal, flaw), {
      category,
      retryable,
      hint: hintOf(refusal.errorCodes) ?? hint,
      status: refusal.status,
      details: detailsOf(refusal),
    });
    this.refusal = refusal;
  }
}

const ADDRESS_HINT =
  'Check the token URL: this address answers, but not as a token endpoint (a sign-in page, a portal or a proxy may stand there).';

const REFUSED_LOGIN_HINT =
  'The server does not say which of these it is: the client id or client secret is wrong; the refresh token is unknown, revoked or ' +
  'expired (ServiceNow: 100 days after it was first issued); its user is inactive, locked out, must change the password or ' +
  'needs multi-factor authentication; the grant type is disabled; or no OAuth application user is set.';

const UNAVAILABLE: Judgement = {
  code: 'token.unavailable',
  category: 'unavailable',
  retryable: true,
  hint: 'The token server is down or restarting, or a proxy before it is; the credentials were not judged.',
};

const NOT_PERMITTED: Judgement = {
  code: 'token.not-permitted',
  category: 'permission',
  retryable: false,
  hint: 'Allow this client the resource, scope and grant type on the token server.',
};

const DENIED: Judgement = {
  code: 'token.denied',
  category: 'credentials',
  retryable: false,
  hint: REFUSED_LOGIN_HINT,
};

/** By the `error` code of RFC 6749, section 5.2 and its extensions. */
const BY_ERROR: Readonly<Record<string, Judgement>> = {
  invalid_client: {
    code: 'token.invalid-client',
    category: 'credentials',
    retryable: false,
    hint: 'Check the client id and its secret, or its certificate, against what is registered on the token server.',
  },
  invalid_grant: {
    code: 'token.invalid-grant',
    category: 'credentials',
    retryable: false,
    hint: 'The refresh token is expired, revoked, already used, or of another client: obtain a new one and store it. On a server that rotates refresh tokens, only one place may hold it.',
  },
  unauthorized_client: NOT_PERMITTED,
  access_denied: NOT_PERMITTED,
  unsupported_grant_type: {
    code: 'token.unsupported-grant-type',
    category: 'invalid-input',
    retryable: false,
    hint: 'Enable this grant type on the token server, or choose the authentication that it offers.',
  },
  invalid_scope: {
    code: 'token.invalid-scope',
    category: 'invalid-input',
    retryable: false,
    hint: 'Correct the scope, or leave it out to get what the refresh token was issued for.',
  },
  invalid_request: {
    code: 'token.invalid-request',
    category: 'invalid-input',
    retryable: false,
    hint: 'The token server misses a parameter or refuses one: check the token URL, the scope and the resource.',
  },
  invalid_resource: unknownResource(),
  invalid_target: unknownResource(),
  temporarily_unavailable: UNAVAILABLE,
  server_error: UNAVAILABLE,
};

/** By the vendor's code, which is more exact than `error`. Only the hint depends on it. */
const BY_VENDOR_CODE: Readonly<Record<string, string>> = {
  MSIS9607:
    'AD FS knows no client by this client id: compare it with the application group in AD FS Management.',
  MSIS9622:
    'AD FS did not accept the signed assertion: check that this certificate (compare the thumbprint) is registered for the client, ' +
    "that the AD FS URL is the one AD FS itself uses, that the certificate is valid, and that this machine's clock is right. " +
    'The AD FS event log has the reason under the request id.',
  MSIS9602:
    'AD FS knows no resource by this identifier: compare the resource id with the identifiers of the relying party or web API.',
  MSIS9605:
    'The application group gives this client no permission to the resource: add it under Client Permissions of the web API.',
  MSIS9611:
    'The application group gives this client no permission to the resource: add it under Client Permissions of the web API.',
  MSIS9659: 'AD FS refused the user name or password.',
  AADSTS700027:
    'Entra ID does not know the certificate that signed the assertion: upload it to the app registration and compare the thumbprint.',
  AADSTS700024: "The assertion is outside its time of validity: correct this machine's clock.",
  AADSTS50027:
    'Entra ID could not read the assertion: check the token URL, which is also its audience, and the client id.',
};

/**
 * By status, `error` code and kind of content, in this order; never by prose.
 * A 429 or 5xx says nothing about the credentials, whatever its body is, so it goes first.
 */
function judge(refusal: TokenRefusal, flaw: AnswerFlaw | undefined): Judgement {
  const { status, error, contentKind } = refusal;
  if (status === 429) {
    return {
      code: 'token.throttled',
      category: 'throttled',
      retryable: true,
      hint: 'The token server limits the number of requests; wait, and see who else uses this client.',
    };
  }
  if (status >= 500 || status === 408) return UNAVAILABLE;
  if (status >= 300 && status < 400) {
    return { code: 'token.redirected', category: 'bad-response', retryable: false, hint: ADDRESS_HINT };
  }
  // ServiceNow says `server_error` with a 401 to every refused credential, and means it.
  if (status === 401 && (error === 'server_error' || error === 'access_denied')) return DENIED;
  // A server may well say `constructor`.
  const byError = error !== undefined && Object.hasOwn(BY_ERROR, error) ? BY_ERROR[error] : undefined;
  if (byError !== undefined) return byError;
  if (contentKind === 'html') {
    return { code: 'token.not-json', category: 'bad-response', retryable: false, hint: ADDRESS_HINT };
  }
  if (status === 404) {
    return { code: 'token.not-found', category: 'not-found', retryable: false, hint: ADDRESS_HINT };
  }
  if (status === 401) return DENIED;
  if (status === 403) return NOT_PERMITTED;
  if (status >= 200 && status < 300 && error === undefined && flaw !== undefined) return flawed(flaw);
  return { code: 'token.bad-response', category: 'bad-response', retryable: false, hint: ADDRESS_HINT };
}

function flawed(flaw: AnswerFlaw): Judgement {
  const hints: Record<AnswerFlaw, string> = {
    'not-json': ADDRESS_HINT,
    'missing-access-token': ADDRESS_HINT,
    'not-bearer': 'Only bearer tokens can be used: switch proof of possession off for this client.',
    'unusable-access-token': 'The token is too long or has characters that no header may carry.',
    'unusable-id-token': 'The id token is too long or has characters that no header may carry.',
    'unusable-refresh-token':
      'The refresh token is too long to be one: check the token URL and what stands before it.',
  };
  return { code: `token.${flaw}`, category: 'bad-response', retryable: false, hint: hints[flaw] };
}

function unknownResource(): Judgement {
  return {
    code: 'token.invalid-resource',
    category: 'invalid-input',
    retryable: false,
    hint: 'Compare the resource id with the identifiers registered on the token server.',
  };
}

function hintOf(codes: readonly string[]): string | undefined {
  return codes.map((code) => BY_VENDOR_CODE[code]).find((hint) => hint !== undefined);
}

function describe(refusal: TokenRefusal, flaw: AnswerFlaw | undefined): string {
  const { endpoint, status, error, errorCodes, contentKind, location } = refusal;
  const codes = errorCodes.length === 0 ? '' : ` (${errorCodes.join(', ')})`;
  const what = `The token endpoint ${endpoint} answered ${status}`;
  if (error !== undefined || codes !== '') return `${what}${error === undefined ? '' : ` ${error}`}${codes}.`;
  if (location !== undefined) return `${what}, a redirect to ${location}.`;
  const flaws: Record<AnswerFlaw, string> = {
    'not-json': describeContent(contentKind),
    'missing-access-token': 'without an access_token',
    'not-bearer': 'with a token that is not of type bearer',
    'unusable-access-token': 'with an access_token that no header can carry',
    'unusable-id-token': 'with an id_token that no header can carry',
    'unusable-refresh-token': 'with an overlong refresh_token',
  };
  return `${what} ${flaw === undefined ? describeContent(contentKind) : flaws[flaw]}.`;
}

function describeContent(kind: ContentKind): string {
  const words: Record<ContentKind, string> = {
    json: 'with JSON that names no error',
    html: 'with an HTML page',
    empty: 'with an empty body',
    other: 'with something that is not JSON',
  };
  return words[kind];
}

function detailsOf(refusal: TokenRefusal): ErrorDetails {
  const { endpoint, contentKind, error, errorCodes, serverText, retryAfterMs, location, requestId } = refusal;
  return {
    endpoint,
    contentKind,
    ...(error === undefined ? {} : { error }),
    ...(errorCodes.length === 0 ? {} : { errorCodes }),
    ...(serverText === undefined ? {} : { serverText }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(location === undefined ? {} : { location }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}
