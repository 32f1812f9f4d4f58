import type { DelegateError } from '../../kit/errors.ts';
import { SERVICENOW_ERRORS, type ServiceNowErrorCode } from './error-kinds.ts';
import { failure, failureInWords, hostOf, type Refusal, type RequestFacts } from './refusal.ts';

/** What came from somewhere else than the API: redirects, and pages that were made for people. */

/** As much of a page as its kind can be told from. */
const SNIFFED_CHARS = 20_000;
const MAX_LOCATION_CHARS = 200;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const SIGN_ON_PATH = /\/(login|login_with_sso|navpage|auth_redirect)\.do$/;
/** SAML 2.0 (bindings, section 3.4.4), OAuth 2.0 (RFC 6749, section 4.1.1), WS-Federation (section 13.1). */
const SIGN_ON_PARAMETERS = ['SAMLRequest', 'response_type', 'wa'] as const;

/** Undefined if the answer comes from the API, or its status says all there is to know. */
export function judgeElsewhere(refusal: Refusal, request: RequestFacts): DelegateError | undefined {
  const { status, isPage } = refusal;
  if (REDIRECTS.has(status)) return judgeRedirect(refusal, request);
  if (isPage && status < 500 && status !== 401 && status !== 429) {
    const known = knownPage(refusal, request);
    if (known !== undefined) return known;
    if (status < 300 || status === 404) return unknownPage(refusal, request);
  }
  return status === 200 ? notJson(refusal, request) : undefined;
}

function ofHost(
  code: ServiceNowErrorCode,
  text: string,
): (refusal: Refusal, request: RequestFacts) => DelegateError {
  return (refusal, request) => failure(code, `${hostOf(request)} ${text}`, refusal);
}

const hibernating = ofHost('servicenow.hibernating', 'is a developer instance that is asleep');
const wakingUp = ofHost('servicenow.waking-up', 'is a developer instance that is waking up');
const signOnPage = ofHost('servicenow.sign-on-page', 'answers with its sign-on page');

function judgeRedirect(refusal: Refusal, request: RequestFacts): DelegateError {
  const written = refusal.headers['location'];
  const location = targetOf(written, request.target);
  if (location?.hostname === 'developer.servicenow.com') return hibernating(refusal, request);
  if (location !== undefined && SIGN_ON_PATH.test(location.pathname)) return signOnPage(refusal, request);
  // Scrubbed as it was written: parsing writes some characters in its own way, and a cut leaves half a secret.
  const shown = targetOf(written && request.scrub(written), request.target);
  const where = shown === undefined ? 'another address' : shown.origin + shown.pathname;
  return failure(
    'servicenow.redirected',
    `${hostOf(request)} redirects to ${where.slice(0, MAX_LOCATION_CHARS)}`,
    refusal,
    { hint: redirectHint(location, request) },
  );
}

/** Undefined: the usual one. */
function redirectHint(location: URL | undefined, request: RequestFacts): string | undefined {
  const asked = new URL(request.target);
  if (location === undefined || location.origin === asked.origin) return undefined;
  if (SIGN_ON_PARAMETERS.some((name) => location.searchParams.has(name))) {
    return SERVICENOW_ERRORS['servicenow.sign-on-page'].remedy;
  }
  return location.pathname === asked.pathname
    ? 'The instance goes by another address: use the one that it redirects to in serviceNowUrl.'
    : 'Use the address that it redirects to if that is the instance. If it is a sign-on server, use OAuth or a local web-service user.';
}

/** The pages that have a meaning. Nothing but their text or their form tells them apart. */
function knownPage(refusal: Refusal, request: RequestFacts): DelegateError | undefined {
  const page = refusal.body.slice(0, SNIFFED_CHARS).toLowerCase();
  if (page.includes('instance-hibernating-page') || page.includes('instance is hibernating')) {
    return hibernating(refusal, request);
  }
  if (page.includes('waking up')) return wakingUp(refusal, request);
  if (/<input[^<>]+type=["']?password/.test(page) || refusal.headers['x-is-logged-in'] === 'false') {
    return signOnPage(refusal, request);
  }
  return undefined;
}

function unknownPage(refusal: Refusal, request: RequestFacts): DelegateError {
  const status = refusal.status === 200 ? '' : ` (HTTP ${refusal.status})`;
  const message = `${request.target} answered with a web page instead of JSON${status}`;
  return failureInWords('servicenow.html', message, refusal);
}

function notJson(refusal: Refusal, request: RequestFacts): DelegateError {
  const message = `${request.target} answered ${refusal.contentType} instead of JSON`;
  return failureInWords('servicenow.not-json', message, refusal);
}

function targetOf(location: string | undefined, base: string): URL | undefined {
  const target = location !== undefined && URL.canParse(location, base) ? new URL(location, base) : undefined;
  return target?.protocol === 'https:' || target?.protocol === 'http:' ? target : undefined;
}
