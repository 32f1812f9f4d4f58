import { z } from 'zod';
import { mediaType, retryAfterMs, type HttpResponse } from '../kit/http-exchange.ts';
import type { Secret } from '../kit/secret.ts';
import { boundedWords } from '../kit/text.ts';
import { OAuthFailure, type AnswerFlaw, type ContentKind, type TokenRefusal } from './token-failure.ts';

/** What RFC 6749, section 5.1 calls a successful response. */
export interface TokenAnswer {
  readonly accessToken: Secret;
  readonly idToken: Secret | undefined;
  /** May be the very one that was sent (ServiceNow), or a new one that replaces it (a rotating server). */
  readonly refreshToken: Secret | undefined;
  readonly tokenType: 'bearer';
  /** Seconds from the answer on. */
  readonly expiresInS: number;
}

/** ServiceNow's own default, and the shortest of those met in the field. */
const DEFAULT_EXPIRES_IN_S = 1_800;

/** No server known to us accepts a header of this size; longer is a broken answer. */
const MAX_TOKEN_CHARS = 65_536;

const MAX_SERVER_TEXT_CHARS = 500;

/** Of a redirect's target; a longer path is a session's, not an address. */
const MAX_PATH_CHARS = 200;

/** Only these characters survive in an Authorization header without changing its meaning. */
const HEADER_SAFE = /^[\x21-\x7e]+$/;

const text = z.string().min(1).optional().catch(undefined);

const bodySchema = z.object({
  access_token: text,
  id_token: text,
  refresh_token: text,
  token_type: text,
  expires_in: z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\d{1,12}$/)
        .transform(Number),
    ])
    .pipe(z.number().min(0))
    .catch(DEFAULT_EXPIRES_IN_S),
  // As RFC 6749 writes them. Anything else is a stranger's text and stays out of messages.
  error: z
    .string()
    .regex(/^[a-z_]{3,40}$/)
    .optional()
    .catch(undefined),
  error_description: text,
  error_codes: z.array(z.number().int()).max(20).catch([]),
});

type Body = z.infer<typeof bodySchema>;

/**
 * Judges what a token endpoint answered.
 *
 * @param endpoint where the request went; its query is not repeated in any text
 * @param protect makes a `Secret` of each token and remembers it for scrubbing
 * @throws OAuthFailure with a code `token.…`
 */
export function readTokenResponse(
  response: HttpResponse,
  { endpoint, protect }: { endpoint: URL; protect: (value: string) => Secret },
): TokenAnswer {
  const { kind, body } = readBody(response);
  const flaw = flawOf(body);
  const refused = response.status < 200 || response.status >= 300 || body?.error !== undefined;
  if (refused || flaw !== undefined || body?.access_token === undefined) {
    throw new OAuthFailure(refusalOf(response, endpoint, kind, body), refused ? undefined : flaw);
  }
  const guarded = (value: string | undefined): Secret | undefined =>
    value === undefined ? undefined : protect(value);
  return {
    accessToken: protect(body.access_token),
    idToken: guarded(body.id_token),
    refreshToken: guarded(body.refresh_token),
    tokenType: 'bearer',
    expiresInS: body.expires_in,
  };
}

function readBody(response: HttpResponse): { kind: ContentKind; body: Body | undefined } {
  const trimmed = response.body.trim();
  if (trimmed === '') return { kind: 'empty', body: undefined };
  // By content first: servers send JSON as text/html, and pages as application/json.
  const body = parseBody(trimmed);
  if (body !== undefined) return { kind: 'json', body };
  const html = trimmed.startsWith('<') || mediaType(response) === 'text/html';
  return { kind: html ? 'html' : 'other', body: undefined };
}

function parseBody(json: string): Body | undefined {
  try {
    return bodySchema.safeParse(JSON.parse(json)).data;
  } catch {
    // The parser's message quotes the text, which may hold a token; that it is no JSON is all there is to say.
    return undefined;
  }
}

function flawOf(body: Body | undefined): AnswerFlaw | undefined {
  if (body === undefined) return 'not-json';
  const { access_token: token } = body;
  if (token === undefined) return 'missing-access-token';
  // RFC 6749, section 7.1: a client must not use a token whose type it does not understand.
  if (body.token_type?.toLowerCase() !== 'bearer') return 'not-bearer';
  return token.length > MAX_TOKEN_CHARS || !HEADER_SAFE.test(token) ? 'unusable-access-token' : undefined;
}

function refusalOf(
  response: HttpResponse,
  endpoint: URL,
  contentKind: ContentKind,
  body: Body | undefined,
): TokenRefusal {
  const { status, headers } = response;
  return {
    endpoint: addressOf(endpoint),
    status,
    contentKind,
    error: body?.error,
    errorCodes: vendorCodes(body),
    serverText: serverText(response, contentKind, body),
    retryAfterMs: waitMsOf(headers),
    asksForBasic: /(?:^|,)\s*basic(?:[\s,]|$)/i.test(headers['www-authenticate'] ?? ''),
    location: locationOf(headers['location'], endpoint),
    requestId: requestIdOf(headers),
  };
}

/** Codes are made for machines even where they stand in a description; the words around them are not read. */
function vendorCodes(body: Body | undefined): string[] {
  const named = body?.error_description?.match(/\b(?:MSIS\d{4,5}|AADSTS\d{5,7})\b/g) ?? [];
  // Entra ID repeats its codes as bare numbers.
  const numbered = named.some((code) => code.startsWith('MSIS')) ? [] : (body?.error_codes ?? []);
  return [...new Set([...named, ...numbered.map((code) => `AADSTS${code}`)])].slice(0, 5);
}

function serverText(response: HttpResponse, kind: ContentKind, body: Body | undefined): string | undefined {
  if (kind === 'json') return bounded(body?.error_description);
  if (kind === 'html') return bounded(/<title[^>]*>([^<]*)/i.exec(response.body)?.[1]);
  // A successful answer that can't be parsed may be a torn one, with a token in it that nobody has registered.
  return response.status < 400 ? undefined : bounded(response.body);
}

function bounded(words: string | undefined): string | undefined {
  return boundedWords(words ?? '', MAX_SERVER_TEXT_CHARS);
}

/** Okta names the end of the wait in `X-Rate-Limit-Reset` instead (Unix seconds). */
function waitMsOf(headers: HttpResponse['headers']): number | undefined {
  const resetS = headers['x-rate-limit-reset']?.trim() ?? '';
  if (headers['retry-after'] !== undefined || !/^\d{1,12}$/.test(resetS)) return retryAfterMs(headers);
  const waitMs = Number(resetS) * 1_000 - Date.parse(headers['date'] ?? '');
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

function locationOf(location: string | undefined, endpoint: URL): string | undefined {
  if (location === undefined || !URL.canParse(location, endpoint.href)) return undefined;
  const target = new URL(location, endpoint);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return undefined;
  return target.pathname.length > MAX_PATH_CHARS ? target.origin : addressOf(target);
}

/** Origin and path. A query or user information may hold secrets. */
function addressOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

function requestIdOf(headers: HttpResponse['headers']): string | undefined {
  return ['client-request-id', 'x-ms-request-id', 'x-request-id']
    .map((name) => headers[name])
    .find((value) => value !== undefined && /^[\w.-]{1,64}$/.test(value));
}
