import { z } from 'zod';
import { DelegateError, type ErrorCategory } from '../../kit/errors.ts';
import { mediaType, retryAfterMs, type HttpResponse } from '../../kit/http-exchange.ts';
import { boundedWords } from '../../kit/text.ts';

/** What the judgement needs to know of the request; nothing of it is secret. */
export interface RequestFacts {
  /** Origin and context path of the instance. */
  baseUrl: string;
  /** Origin and path that was called. */
  target: string;
  /** Whose credentials; undefined if the user's name is a secret, or there is none. */
  user: string | undefined;
  usedBearer: boolean;
  /** A text without secrets. Whatever an answer says goes through it before it is cut or respaced. */
  scrub: (text: string) => string;
}

/** An answer, with what may be told of it. */
interface Evidence extends HttpResponse {
  readonly contentType: string;
  readonly serverText: string | undefined;
}

/** The error envelope of ServiceNow's REST APIs. `detail` may be null; key order varies. */
const envelopeSchema = z.object({
  error: z.object({ message: z.string().nullish(), detail: z.string().nullish() }),
});

const MAX_SERVER_TEXT = 300;
/** Beyond this it is no error message; it is neither parsed nor shown. */
const MAX_READ_CHARS = 65_536;
/** As much of a page as its kind can be told from. */
const SNIFFED_CHARS = 20_000;

/** To a 403 that does not come in the envelope of the API (KB0793431). */
const ADDRESS_REFUSED_HINT =
  "This is not the API's own refusal: check the IP address access control of the instance, and whether a firewall or proxy refuses this delegate.";

/** To a page of this status instead of JSON. */
const PAGE_HINTS: Readonly<Record<number, string>> = {
  // The servlet container, which reads the request before ServiceNow does, says so to a request line too long.
  400: 'The request may be too long: use fewer fields in the criteria. Otherwise check serviceNowUrl.',
  403: ADDRESS_REFUSED_HINT,
};

/**
 * What an answer means if it is not a JSON answer of status 2xx; undefined if it is. One pure function: status,
 * content type and shape decide. Server text is passed on (bounded) as evidence and never decides, but for the
 * two pages that only their text tells apart.
 */
export function judgeAnswer(answer: HttpResponse, request: RequestFacts): DelegateError | undefined {
  const { status } = answer;
  const succeeded = status >= 200 && status < 300;
  if (succeeded && mediaType(answer) === 'application/json') return undefined;
  const response = evidenceOf(answer, request.scrub);
  if (status >= 300 && status < 400) return judgeRedirect(response, request);
  if (status === 401) return notAuthenticated(response, request);
  if (isHtml(response) && status < 500 && status !== 429) return judgePage(response, request);
  if (succeeded) return notJson(response, request);
  return judgeStatus(response, request);
}

function evidenceOf(answer: HttpResponse, scrub: RequestFacts['scrub']): Evidence {
  return { ...answer, contentType: describeType(answer, scrub), serverText: serverTextOf(answer, scrub) };
}

function notJson(response: Evidence, request: RequestFacts): DelegateError {
  return failure(
    'servicenow.not-json',
    `${request.target} answered ${response.contentType} instead of JSON.`,
    response,
    {
      category: 'not-servicenow',
      hint: 'Check serviceNowUrl: it must be the address of the instance itself, as in https://example.service-now.com.',
    },
  );
}

function judgeStatus(response: Evidence, request: RequestFacts): DelegateError {
  const { status } = response;
  const { target } = request;
  switch (status) {
    case 400:
      return failure(
        'servicenow.invalid-request',
        `${target}: ServiceNow refused the request as invalid.`,
        response,
        {
          category: 'invalid-input',
          hint: 'The ticket type is usually not a table of this instance: check its spelling.',
        },
      );
    case 403:
      return failure('servicenow.forbidden', `${target}: ${userOf(request)} may not read this.`, response, {
        category: 'permission',
        hint:
          response.serverText === undefined
            ? ADDRESS_REFUSED_HINT
            : 'Give the user a role that may read it: sn_change_read, sn_incident_read or itil, and access to the Table API.',
      });
    case 404:
      return failure(
        'servicenow.not-found',
        `${target}: not found, or not visible to ${userOf(request)}.`,
        response,
        {
          category: 'not-found',
          hint: 'Check the name, and that the user may read it. ServiceNow answers the same to both.',
        },
      );
    case 414:
      return failure(
        'servicenow.request-too-long',
        `${target}: the request is too long for ServiceNow.`,
        response,
        {
          category: 'invalid-input',
          hint: 'Use fewer fields in the criteria.',
        },
      );
    case 429:
      return throttled(response, request);
    case 500:
      return failure(
        'servicenow.server-error',
        `${target}: ServiceNow failed while it handled the request.`,
        response,
        {
          category: 'unavailable',
          retryable: true,
          hint: 'If it happens again, the node log of the instance has the reason at this time.',
        },
      );
    case 502:
    case 503:
    case 504:
      return failure(
        'servicenow.unavailable',
        `${hostOf(request)} is not available (HTTP ${status}).`,
        response,
        {
          category: 'unavailable',
          retryable: true,
          hint: 'The instance restarts, is upgraded or is under maintenance.',
        },
      );
    default:
      return unlisted(response, request);
  }
}

function unlisted(response: Evidence, request: RequestFacts): DelegateError {
  const { status } = response;
  const serverSide = status >= 500;
  return failure('servicenow.unexpected-status', `${request.target} answered HTTP ${status}.`, response, {
    category: serverSide ? 'unavailable' : status >= 400 ? 'refused' : 'bad-response',
    retryable: serverSide || status === 408,
    hint: 'Check what stands between the delegate and ServiceNow.',
  });
}

function throttled(response: Evidence, request: RequestFacts): DelegateError {
  const { headers } = response;
  const byRule = headers['retry-after'] !== undefined || headers['x-ratelimit-rule'] !== undefined;
  return byRule
    ? failure('servicenow.rate-limited', `${hostOf(request)}: a rate limit rule stops this user.`, response, {
        category: 'throttled',
        retryable: true,
        hint: 'Raise the rate limit rule for the integration user, or poll less often.',
      })
    : failure('servicenow.busy', `${hostOf(request)}: all of its API threads are busy.`, response, {
        category: 'throttled',
        retryable: true,
        hint: 'Usually passes. If not, another integration occupies the API semaphore of the instance.',
      });
}

function notAuthenticated(response: Evidence, request: RequestFacts): DelegateError {
  if (response.headers['x-mfa_token'] !== undefined) {
    return failure(
      'servicenow.mfa-required',
      `${hostOf(request)} asks ${userOf(request)} for a second factor.`,
      response,
      {
        category: 'credentials',
        hint: 'Exempt the integration user from multi-factor authentication, or use OAuth.',
      },
    );
  }
  const hint = request.usedBearer
    ? 'The token server gave the token, but ServiceNow does not accept it: compare issuer, audience and user claim with the OIDC entity, and check that the user exists, is active and not locked.'
    : 'The name or password is wrong, the user is inactive or locked out (after five failures), or lacks the role snc_basic_auth_api_access where basic authentication is restricted. It is not tried again, so as not to lock the account.';
  return failure(
    'servicenow.not-authenticated',
    `${hostOf(request)} does not accept the credentials of ${userOf(request)}.`,
    response,
    {
      category: 'credentials',
      hint,
    },
  );
}

function judgeRedirect(response: Evidence, request: RequestFacts): DelegateError {
  const written = response.headers['location'];
  const location = targetOf(written, request.target);
  if (location?.hostname === 'developer.servicenow.com') return hibernating(response, request);
  const pathname = location?.pathname ?? '';
  const elsewhere = location !== undefined && location.origin !== new URL(request.baseUrl).origin;
  if (/\/(login|login_with_sso|navpage|auth_redirect)\.do$/.test(pathname))
    return signOnPage(response, request);
  // Scrubbed as it was written: parsing writes some characters in its own way, and a cut leaves half a secret.
  const shown = targetOf(written && request.scrub(written), request.target);
  const where = shown === undefined ? 'another address' : shown.origin + shown.pathname;
  return failure(
    'servicenow.redirected',
    `${hostOf(request)} redirects to ${where.slice(0, 200)}.`,
    response,
    {
      category: 'not-servicenow',
      hint: elsewhere
        ? 'Use the address that it redirects to if that is the instance. If it is a sign-on server, use OAuth or a local web-service user.'
        : 'Use the address that it redirects to as serviceNowUrl.',
    },
  );
}

function judgePage(response: Evidence, request: RequestFacts): DelegateError {
  const page = response.body.slice(0, SNIFFED_CHARS).toLowerCase();
  if (page.includes('instance-hibernating-page') || page.includes('instance is hibernating')) {
    return hibernating(response, request);
  }
  if (/<input[^<>]+type=["']?password/.test(page) || response.headers['x-is-logged-in'] === 'false') {
    return signOnPage(response, request);
  }
  const status = response.status === 200 ? '' : ` (HTTP ${response.status})`;
  return failure(
    'servicenow.html',
    `${request.target} answered with a web page instead of JSON${status}.`,
    response,
    {
      category: 'not-servicenow',
      hint:
        PAGE_HINTS[response.status] ??
        'Check serviceNowUrl, and whether a proxy or firewall answers in the place of ServiceNow.',
    },
  );
}

function hibernating(response: Evidence, request: RequestFacts): DelegateError {
  return failure(
    'servicenow.hibernating',
    `${hostOf(request)} is a developer instance that is asleep.`,
    response,
    {
      category: 'not-servicenow',
      hint: 'Wake it at developer.servicenow.com and try again.',
    },
  );
}

function signOnPage(response: Evidence, request: RequestFacts): DelegateError {
  return failure('servicenow.sign-on-page', `${hostOf(request)} answers with its sign-on page.`, response, {
    category: 'not-servicenow',
    hint: 'The instance sends API calls to single sign-on: use OAuth, or a local user that may use web services.',
  });
}

interface Judgement {
  category: ErrorCategory;
  retryable?: boolean;
  hint: string;
}

function failure(code: string, message: string, response: Evidence, judgement: Judgement): DelegateError {
  const { contentType, serverText } = response;
  const waitMs = retryAfterMs(response.headers);
  return new DelegateError(code, message, {
    ...judgement,
    status: response.status,
    details: {
      contentType,
      ...(serverText === undefined ? {} : { serverText }),
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    },
  });
}

/** ServiceNow's own words from its envelope, bounded; a page's text is not worth passing on. */
export function serverTextOf(
  response: Pick<HttpResponse, 'body'>,
  scrub: RequestFacts['scrub'],
): string | undefined {
  const { body } = response;
  return body.length > MAX_READ_CHARS ? undefined : envelopeText(jsonOrUndefined(body), scrub);
}

/** Scrubbed when decoded: JSON has more ways to write a character than a search for secrets could know. */
export function envelopeText(json: unknown, scrub: RequestFacts['scrub']): string | undefined {
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return undefined;
  const { message, detail } = envelope.data.error;
  const text = [message, detail].filter((part) => typeof part === 'string').join(': ');
  return text.length > MAX_READ_CHARS ? undefined : boundedWords(scrub(text), MAX_SERVER_TEXT);
}

export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isHtml(response: HttpResponse): boolean {
  const type = mediaType(response);
  if (type === 'application/json') return false;
  return (
    type === 'text/html' ||
    type === 'application/xhtml+xml' ||
    /^\s*(<!doctype html|<html)/i.test(response.body)
  );
}

function describeType({ headers }: HttpResponse, scrub: RequestFacts['scrub']): string {
  const type = mediaType({ headers: { 'content-type': scrub(headers['content-type'] ?? '') } });
  return /^[\w.+-]{1,40}\/[\w.+-]{1,60}$/.test(type) ? type : 'no known content type';
}

function targetOf(location: string | undefined, base: string): URL | undefined {
  const target = location !== undefined && URL.canParse(location, base) ? new URL(location, base) : undefined;
  return target !== undefined && /^https?:$/.test(target.protocol) ? target : undefined;
}

function userOf(request: RequestFacts): string {
  return request.user === undefined ? "the connector's user" : `user ${request.user}`;
}

function hostOf(request: RequestFacts): string {
  return new URL(request.baseUrl).host;
}
