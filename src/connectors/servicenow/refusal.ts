import type { DelegateError, ErrorFacts } from '../../kit/errors.ts';
import { retryAfterMs, untilEpochMs, type HttpResponse } from '../../kit/http-exchange.ts';
import type { JwtFacts } from '../../oauth/jwt-facts.ts';
import { serviceNowError, type ServiceNowErrorCode } from './error-kinds.ts';
import type { Evidence } from './evidence.ts';

/** What the strategies of the judgement share: what they are told, and how they say what they found. */

/** What the judgement needs to know of the request; nothing of it is secret. */
export interface RequestFacts {
  /** Origin and context path of the instance. */
  baseUrl: string;
  /** Origin and path that was called. */
  target: string;
  /** Whose credentials; undefined if the user's name is a secret, or there is none. */
  user: string | undefined;
  usedBearer: boolean;
  /** What the bearer says of itself, if it is a JWT. */
  token?: JwtFacts | undefined;
  /** A text without secrets. Whatever an answer says goes through it before it is cut or respaced. */
  scrub: (text: string) => string;
}

/** An answer that is not JSON of status 200. */
export type Refusal = HttpResponse & Evidence;

/** A failure that is understood: the message says it all. Without its full stop. */
export function failure(
  code: ServiceNowErrorCode,
  message: string,
  refusal: Refusal,
  facts: ErrorFacts = {},
): DelegateError {
  const { status, contentType, serverText, headers } = refusal;
  const waitMs = retryAfterMs(headers) ?? untilEpochMs(headers, 'x-ratelimit-reset');
  return serviceNowError(code, `${message}.`, {
    ...facts,
    status,
    details: {
      contentType,
      ...(serverText === undefined ? {} : { serverText }),
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
      ...facts.details,
    },
  });
}

/** A failure that the words of whoever answered explain, or that only they can explain. */
export function failureInWords(
  code: ServiceNowErrorCode,
  message: string,
  refusal: Refusal,
  facts: ErrorFacts = {},
): DelegateError {
  const { serverText, bodyStart } = refusal;
  return failure(code, message + quoted(serverText ?? bodyStart), refusal, {
    ...facts,
    ...(bodyStart === undefined ? {} : { details: { bodyStart } }),
  });
}

export function quoted(words: string | undefined): string {
  return words === undefined ? '' : `: "${words}"`;
}

export function userOf(request: RequestFacts): string {
  return request.user === undefined ? "the connector's user" : `user ${request.user}`;
}

export function hostOf(request: RequestFacts): string {
  return new URL(request.baseUrl).host;
}
