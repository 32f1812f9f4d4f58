import type { DelegateError, ErrorFacts } from '../../kit/errors.ts';
import { MASK } from '../../kit/secret.ts';
import type { JwtFacts } from '../../oauth/jwt-facts.ts';
import { SERVICENOW_ERRORS, type ServiceNowErrorCode } from './error-kinds.ts';
import { failure, failureInWords, hostOf, userOf, type Refusal, type RequestFacts } from './refusal.ts';

type Judge = (refusal: Refusal, request: RequestFacts) => DelegateError;

/** What a status means that is not 200; the known ones first. */
export function judgeByStatus(refusal: Refusal, request: RequestFacts): DelegateError {
  return (BY_STATUS.get(refusal.status) ?? unlisted)(refusal, request);
}

/** Begins with what was called; ends with what it says. */
function ofTarget(code: ServiceNowErrorCode, text: string): Judge {
  return (refusal, request) => failureInWords(code, `${request.target}: ${text}`, refusal);
}

const tooLong = ofTarget('servicenow.request-too-long', 'the request is too long for ServiceNow');
const addressRefused = ofTarget(
  'servicenow.address-refused',
  'this delegate is refused, whoever its user is',
);

function notFound(refusal: Refusal, request: RequestFacts): DelegateError {
  const who = refusal.isEnvelope ? 'ServiceNow' : 'whoever answered';
  return failureInWords('servicenow.not-found', `${request.target}: ${who} has no such address`, refusal);
}

/**
 * The servlet container, which reads the request before ServiceNow does, says so to a request line too long. A front
 * end that misses a client certificate does, too; its words, which are passed on, tell.
 */
function refusedUnread(refusal: Refusal, request: RequestFacts): DelegateError {
  return failureInWords(
    'servicenow.request-too-long',
    `${request.target}: a web page refuses the request unread, usually because it is too long`,
    refusal,
    {
      hint: 'The page says why: if something is too long, use fewer fields in the criteria; otherwise check serviceNowUrl, and what stands between the delegate and ServiceNow.',
    },
  );
}

function invalidRequest(refusal: Refusal, request: RequestFacts): DelegateError {
  if (refusal.isPage) return refusedUnread(refusal, request);
  return failureInWords(
    'servicenow.invalid-request',
    `${request.target}: ServiceNow refused the request as invalid`,
    refusal,
    refusal.isEnvelope
      ? {}
      : {
          hint: "The answer is not in the form of ServiceNow's API: check serviceNowUrl, and what stands between the delegate and ServiceNow.",
        },
  );
}

function forbidden(refusal: Refusal, request: RequestFacts): DelegateError {
  if (!refusal.isEnvelope) return addressRefused(refusal, request);
  const message = `${request.target}: ${userOf(request)} may not read this`;
  return failureInWords('servicenow.forbidden', message, refusal);
}

function serverError(refusal: Refusal, request: RequestFacts): DelegateError {
  const message = `${request.target}: ServiceNow failed while it handled the request`;
  return failure('servicenow.server-error', message, refusal);
}

function unavailable(refusal: Refusal, request: RequestFacts): DelegateError {
  const message = `${hostOf(request)} is not available (HTTP ${refusal.status})`;
  return failure('servicenow.unavailable', message, refusal);
}

function throttled(refusal: Refusal, request: RequestFacts): DelegateError {
  const { 'retry-after': retryAfter, 'x-ratelimit-rule': ruleHeader } = refusal.headers;
  if (retryAfter === undefined && ruleHeader === undefined) {
    return failure('servicenow.busy', `${hostOf(request)}: all of its API threads are busy`, refusal);
  }
  const rule = /^[\da-f]{32}$/.exec(request.scrub(ruleHeader ?? ''))?.[0];
  const { remedy } = SERVICENOW_ERRORS['servicenow.rate-limited'];
  return failureInWords(
    'servicenow.rate-limited',
    `${hostOf(request)}: a rate limit rule stops this user`,
    refusal,
    rule === undefined ? {} : { hint: `${remedy} It is the rule ${rule} in sys_rate_limit_rules.` },
  );
}

function notAuthenticated(refusal: Refusal, request: RequestFacts): DelegateError {
  if (refusal.headers['x-mfa_token'] !== undefined) {
    const message = `${hostOf(request)} asks ${userOf(request)} for a second factor`;
    return failure('servicenow.mfa-required', message, refusal);
  }
  return failure(
    'servicenow.not-authenticated',
    `${hostOf(request)} does not accept the credentials of ${userOf(request)}`,
    refusal,
    request.usedBearer ? { hint: bearerHint(request.token) } : {},
  );
}

const OPAQUE_TOKEN_HINT =
  "Check that the token's user exists, is active and not locked. The token server gave the token, and ServiceNow does not accept it: if that server is not ServiceNow itself, compare issuer, audience and user claim with the OIDC entity in ServiceNow.";

/** ServiceNow says nothing of what it dislikes about a token, so what can be compared is laid side by side. */
function bearerHint(token: JwtFacts | undefined): string {
  if (token === undefined) return OPAQUE_TOKEN_HINT;
  const { issuer = 'none', audience, expiresAt = 'never', userClaims } = token;
  const claims = Object.entries(userClaims).map(([name, value]) => `${name} ${value}`);
  const says = [
    `issuer ${issuer}`,
    `audience ${audience.join(' and ') || 'none'}`,
    `expires ${expiresAt}`,
    `user by ${claims.join(', ') || 'no known claim'}`,
  ].join('; ');
  // AD FS makes the resource id the audience, and that is a secret of the connector.
  const masked = says.includes(MASK) ? ` ${MASK} is a value of the connector's own secrets.` : '';
  return `Compare three settings of the OIDC entity in ServiceNow with the token: metadata URL with issuer, client ID with audience, user claim and field with a user who is active. The token says: ${says}.${masked}`;
}

const BY_STATUS: ReadonlyMap<number, Judge> = new Map([
  [400, invalidRequest],
  [401, notAuthenticated],
  [403, forbidden],
  [404, notFound],
  [413, tooLong],
  [414, tooLong],
  [429, throttled],
  [431, tooLong],
  [500, serverError],
  [502, unavailable],
  [503, unavailable],
  [504, unavailable],
]);

const PROXY_HINT =
  'A proxy on the way asks for credentials of its own: let the requests of this delegate to ServiceNow pass without.';

/** What is more exact than the class of a status says. */
const UNLISTED: ReadonlyMap<number, ErrorFacts> = new Map<number, ErrorFacts>([
  [407, { hint: PROXY_HINT }],
  [408, { category: 'timeout', retryable: true }],
  [499, { category: 'timeout', retryable: true }],
]);

function unlisted(refusal: Refusal, request: RequestFacts): DelegateError {
  const { status } = refusal;
  return failureInWords(
    'servicenow.unexpected-status',
    `${request.target} answered HTTP ${status}`,
    refusal,
    {
      ...classOf(status),
      ...UNLISTED.get(status),
    },
  );
}

function classOf(status: number): ErrorFacts {
  if (status >= 500) return { category: 'unavailable', retryable: true };
  return { category: status >= 400 ? 'refused' : 'bad-response' };
}
