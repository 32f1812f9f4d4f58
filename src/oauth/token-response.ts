import { z } from 'zod';
import { mediaType, retryAfterMs, untilEpochMs, type HttpResponse } from '../kit/http-exchange.ts';
import { Secret } from '../kit/secret.ts';
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
const MAX_TOKEN_CHARS = 16_384;

/**
 * RFC 6749, section 10.10 asks for 128 bits; no token of so few characters has them. What is shorter is not
 * remembered for scrubbing: a server that "issues" the token `approved` would erase that word from every text.
 */
const MIN_PROTECTED_CHARS = 16;

/** A longer text is not passed on: cut before it is scrubbed, it could end in half a secret. */
const MAX_SCRUBBED_CHARS = 65_536;

/** A page's title stands in its head; what lies behind this is not looked at. */
const MAX_HEAD_CHARS = 20_000;

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

/** Who may be sent a token or what stands for one, by the roles of RFC 6749, section 1.1. */
export type TokenReceiver = 'authorization-server' | 'resource-server';

/** Makes a `Secret` of a value, to be scrubbed wherever it turns up and sent to nobody else. */
export type ProtectToken = (value: string, goesTo: TokenReceiver) => Secret;

export interface TokenResponseOptions {
  /** Where the request went; its query is not repeated in any text. */
  endpoint: URL;
  protect: ProtectToken;
  /** Replaces every remembered secret. It is given a text before anything is cut from it or changed in it. */
  scrub: (text: string) => string;
}

/**
 * Judges what a token endpoint answered.
 *
 * @throws OAuthFailure with a code `token.…`
 */
export function readTokenResponse(response: HttpResponse, options: TokenResponseOptions): TokenAnswer {
  const { kind, body } = readBody(response);
  const guarded = (token: string, goesTo: TokenReceiver): Secret =>
    protectToken(token, goesTo, options.protect);
  const isSuccess = response.status >= 200 && response.status < 300;
  const refreshToken =
    isSuccess && fitsForm(body?.refresh_token)
      ? guarded(body.refresh_token, 'authorization-server')
      : undefined;
  const flaw = flawOf(body);
  const refused = !isSuccess || body?.error !== undefined;
  if (refused || flaw !== undefined || body?.access_token === undefined) {
    const refusal = refusalOf(response, options, kind, body);
    throw new OAuthFailure(refusal, refused ? undefined : flaw, refreshToken);
  }
  return {
    accessToken: guarded(body.access_token, 'resource-server'),
    idToken: body.id_token === undefined ? undefined : guarded(body.id_token, 'resource-server'),
    refreshToken,
    tokenType: 'bearer',
    expiresInS: body.expires_in,
  };
}

/** A token that a server has given, as a `Secret`: scrubbed from every text, if it is long enough to be one. */
export function protectToken(token: string, goesTo: TokenReceiver, protect: ProtectToken): Secret {
  return token.length < MIN_PROTECTED_CHARS ? new Secret(token) : protect(token, goesTo);
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
  if (!fitsHeader(token)) return 'unusable-access-token';
  if (body.id_token !== undefined && !fitsHeader(body.id_token)) return 'unusable-id-token';
  return body.refresh_token === undefined || fitsForm(body.refresh_token)
    ? undefined
    : 'unusable-refresh-token';
}

/** In a form any character will do. */
function fitsForm(token: string | undefined): token is string {
  return token !== undefined && token.length <= MAX_TOKEN_CHARS;
}

function fitsHeader(token: string): boolean {
  return token.length <= MAX_TOKEN_CHARS && HEADER_SAFE.test(token);
}

function refusalOf(
  response: HttpResponse,
  { endpoint, scrub }: TokenResponseOptions,
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
    serverText: shown(serverText(response, contentKind, body), scrub),
    retryAfterMs: waitMsOf(headers),
    asksForBasic: /(?:^|,)\s*basic(?:[\s,]|$)/i.test(headers['www-authenticate'] ?? ''),
    location: locationOf(scrub(headers['location'] ?? ''), endpoint),
    requestId: requestIdOf(headers),
  };
}

/** Codes are made for machines even where they stand in a description; the words around them are not read. */
function vendorCodes(body: Body | undefined): string[] {
  const named =
    body?.error_description?.slice(0, MAX_SCRUBBED_CHARS).match(/\b(?:MSIS\d{4,5}|AADSTS\d{5,7})\b/g) ?? [];
  // Entra ID repeats its codes as bare numbers.
  const numbered = named.some((code) => code.startsWith('MSIS')) ? [] : (body?.error_codes ?? []);
  return [...new Set([...named, ...numbered.map((code) => `AADSTS${code}`)])].slice(0, 5);
}

/** As it came; empty if there is nothing to pass on. */
function serverText(response: HttpResponse, kind: ContentKind, body: Body | undefined): string {
  if (kind === 'json') return body?.error_description ?? '';
  if (kind === 'html') return titleOf(response.body);
  // A successful answer that can't be parsed may be a torn one, with a token in it that nobody has registered.
  return response.status < 400 ? '' : response.body;
}

function shown(words: string, scrub: (text: string) => string): string | undefined {
  return words.length > MAX_SCRUBBED_CHARS ? undefined : boundedWords(scrub(words), MAX_SERVER_TEXT_CHARS);
}

function titleOf(page: string): string {
  const head = page.slice(0, MAX_HEAD_CHARS);
  // No `<` within the tag: otherwise each `<title` of a page made of them would be read on to the end.
  const title = /<title[^<>]*>([^<]*)/i.exec(head);
  if (title === null) return '';
  const isCut = head.length < page.length && title.index + title[0].length === head.length;
  return isCut ? '' : (title[1] ?? '');
}

/** Okta names the end of the wait in `X-Rate-Limit-Reset` instead. */
function waitMsOf(headers: HttpResponse['headers']): number | undefined {
  const hasTime = headers['retry-after'] !== undefined;
  return hasTime ? retryAfterMs(headers) : untilEpochMs(headers, 'x-rate-limit-reset');
}

function locationOf(location: string, endpoint: URL): string | undefined {
  if (location === '' || !URL.canParse(location, endpoint.href)) return undefined;
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
