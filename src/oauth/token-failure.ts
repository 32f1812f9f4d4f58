import { DelegateError, type ErrorDetails, type ErrorKind } from '../kit/errors.ts';
import type { Secret } from '../kit/secret.ts';
import { TOKEN_ERRORS, type TokenErrorCode } from './token-errors.ts';

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

/** A token endpoint gave no token. `code` is one of `token.…`; see `judge`. */
export class OAuthFailure extends DelegateError {
  readonly refusal: TokenRefusal;
  /** Of an answer that is of no use otherwise: a server that rotates takes no other from now on. */
  readonly refreshToken: Secret | undefined;

  constructor(refusal: TokenRefusal, flaw?: AnswerFlaw, refreshToken?: Secret) {
    const code = judge(refusal, flaw);
    const { category, retryable = false, remedy }: ErrorKind = TOKEN_ERRORS[code];
    super(code, describe(refusal, flaw), {
      category,
      retryable,
      hint: hintOf(refusal.errorCodes) ?? remedy,
      status: refusal.status,
      details: detailsOf(refusal),
    });
    this.refusal = refusal;
    this.refreshToken = refreshToken;
  }
}

/** By the `error` code of RFC 6749, section 5.2 and its extensions. */
const BY_ERROR: Readonly<Record<string, TokenErrorCode>> = {
  invalid_client: 'token.invalid-client',
  invalid_grant: 'token.invalid-grant',
  unauthorized_client: 'token.not-permitted',
  access_denied: 'token.not-permitted',
  unsupported_grant_type: 'token.unsupported-grant-type',
  invalid_scope: 'token.invalid-scope',
  invalid_request: 'token.invalid-request',
  invalid_resource: 'token.invalid-resource',
  invalid_target: 'token.invalid-resource',
  temporarily_unavailable: 'token.unavailable',
  server_error: 'token.unavailable',
};

/** By the vendor's code, which is more exact than `error`. Only the hint depends on it. */
const BY_VENDOR_CODE: Readonly<Record<string, string>> = {
  MSIS9607:
    'AD FS knows no client by this client id: compare it with the application group in AD FS Management.',
  MSIS9622:
    'Check that this certificate (compare the thumbprint) is registered for the client on AD FS and valid, that the AD FS URL is ' +
    "the one AD FS itself uses, and this machine's clock. AD FS did not accept the signed assertion; its event log has the reason " +
    'under the request id.',
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
function judge(refusal: TokenRefusal, flaw: AnswerFlaw | undefined): TokenErrorCode {
  const { status, error, contentKind } = refusal;
  if (status === 429) return 'token.throttled';
  if (status >= 500 || status === 408) return 'token.unavailable';
  if (status >= 300 && status < 400) return 'token.redirected';
  // ServiceNow says `server_error` with a 401 to every refused credential, and means it.
  if (status === 401 && (error === 'server_error' || error === 'access_denied')) return 'token.denied';
  // A server may well say `constructor`.
  const byError = error !== undefined && Object.hasOwn(BY_ERROR, error) ? BY_ERROR[error] : undefined;
  if (byError !== undefined) return byError;
  if (contentKind === 'html') return 'token.not-json';
  if (status === 404) return 'token.not-found';
  if (status === 401) return 'token.denied';
  if (status === 403) return 'token.not-permitted';
  const isFlawed = status >= 200 && status < 300 && error === undefined && flaw !== undefined;
  return isFlawed ? `token.${flaw}` : 'token.bad-response';
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
