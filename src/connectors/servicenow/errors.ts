import { z } from 'zod';
import { wrap, type DelegateError } from '../../kit/errors.ts';
import { isTransportFailure, mediaType, type HttpResponse } from '../../kit/http-exchange.ts';
import { serviceNowError } from './error-kinds.ts';
import { judgeByStatus } from './errors-by-status.ts';
import { judgeElsewhere } from './errors-elsewhere.ts';
import { envelopeText, evidenceOf, jsonOrUndefined } from './evidence.ts';
import { quoted, type Refusal, type RequestFacts } from './refusal.ts';

export type { RequestFacts };

/** What came of one request: an answer, or what `HttpSend` rejected with. */
export type Outcome = { readonly response: HttpResponse } | { readonly failure: unknown };

/** The records of a list as they were sent, or why there are none. */
export type Judgement = { readonly records: readonly unknown[] } | { readonly error: DelegateError };

/**
 * What became of a look at a list. One pure function: status, content type and shape decide. A server's text is
 * passed on (scrubbed, bounded) as evidence and never decides, but for the pages that only their text tells apart.
 */
export function judge(outcome: Outcome, request: RequestFacts): Judgement {
  if ('failure' in outcome) return { error: judgeFailure(outcome.failure, request) };
  const { response } = outcome;
  if (response.status === 200 && mediaType(response) === 'application/json') {
    return judgeJson(response, request);
  }
  const refusal = { ...response, ...evidenceOf(response, request.scrub) };
  if (isEmptyList(refusal)) return { records: [] };
  return { error: judgeElsewhere(refusal, request) ?? judgeByStatus(refusal, request) };
}

/**
 * Version 1 of the Table API answers so when nothing matches (KB0551763). An address that is none of the API has the
 * same status and the same form, and there only the words are different: "Requested URI does not represent any
 * resource". Taken for an empty list, it would let a wrong serviceNowUrl pass as a ticket that nobody has created.
 */
function isEmptyList({ status, isEnvelope, serverText = '' }: Refusal): boolean {
  return status === 404 && isEnvelope && !/\bURI\b/.test(serverText);
}

// --- no answer ------------------------------------------------------------------------------------------------

/** Failures of the transport that another address in the connector might mend. */
const ADDRESS_CODES: ReadonlySet<string> = new Set([
  'network.dns',
  'network.refused',
  'network.unreachable',
  'network.connect-timeout',
  'tls.host-mismatch',
  'tls.handshake',
  'tls.handshake-timeout',
  'http.broken-response',
]);

/**
 * What `HttpSend` rejected with, told of the request: the transport knows no more than the host. What somebody else
 * has judged (a policy, a signal's reason) comes back as it is.
 */
export function judgeFailure(thrown: unknown, request: RequestFacts): DelegateError {
  if (!isTransportFailure(thrown)) return wrap(thrown);
  const address = ADDRESS_CODES.has(thrown.code) ? ['It is the address in serviceNowUrl.'] : [];
  const hints = [...(thrown.hint === undefined ? [] : [thrown.hint]), ...address];
  return thrown.retold({
    message: `${request.target}: ${thrown.message}`,
    ...(hints.length === 0 ? {} : { hint: hints.join(' ') }),
    details: { target: request.target },
  });
}

// --- JSON of status 200 ---------------------------------------------------------------------------------------

/** Its items are decoded one by one: a schema over all would collect every complaint about a hostile list. */
const listSchema = z.object({ result: z.custom<readonly unknown[]>(Array.isArray) });

/** Status 200 with an error beside the rows: the transaction was cancelled halfway, and its rows mean nothing. */
const cancelledSchema = z.union([
  z.object({ result: z.unknown().refine(isThere), error: z.unknown().refine(isThere) }),
  z.object({ error: z.record(z.string(), z.unknown()) }),
  z.object({ status: z.literal('failure') }),
]);

/** The JSON web service of old, which fails with status 200. */
const legacyFailureSchema = z.object({
  records: z
    .tuple([z.object({ __error: z.object({ message: z.string().nullish(), reason: z.string().nullish() }) })])
    .rest(z.unknown()),
});

function judgeJson(response: HttpResponse, request: RequestFacts): Judgement {
  const json = jsonOrUndefined(response.body);
  if (json === undefined) return { error: broken(response, request) };
  if (cancelledSchema.safeParse(json).success) return { error: cancelled(response, json, request) };
  const list = listSchema.safeParse(json);
  if (list.success) return { records: list.data.result };
  return { error: notTheTableApi(response, json, request) };
}

function broken(response: HttpResponse, request: RequestFacts): DelegateError {
  const what = response.body.trim() === '' ? 'is empty' : 'is not whole JSON';
  return serviceNowError('servicenow.broken-answer', `${request.target}: the answer ${what}.`, {
    status: response.status,
    details: { contentType: mediaType(response), chars: response.body.length },
  });
}

function cancelled(response: HttpResponse, json: unknown, request: RequestFacts): DelegateError {
  const serverText = envelopeText(json, request.scrub);
  return serviceNowError(
    'servicenow.transaction-cancelled',
    `${request.target}: ServiceNow cancelled the request halfway.`,
    { status: response.status, ...(serverText === undefined ? {} : { details: { serverText } }) },
  );
}

function notTheTableApi(response: HttpResponse, json: unknown, request: RequestFacts): DelegateError {
  const legacy = legacyFailureSchema.safeParse(json);
  if (!legacy.success) return unexpectedShape(response, 'is JSON, but not of the Table API', request);
  const { message, reason } = legacy.data.records[0].__error;
  const serverText = envelopeText({ error: { message, detail: reason } }, request.scrub);
  return unexpectedShape(
    response,
    `is a failure of ServiceNow's old JSON web service${quoted(serverText)}`,
    request,
  );
}

/** @param problem what is the matter with the answer: "has a row that is no record" */
export function unexpectedShape(
  response: Pick<HttpResponse, 'status'>,
  problem: string,
  request: RequestFacts,
): DelegateError {
  return serviceNowError('servicenow.unexpected-shape', `${request.target}: the answer ${problem}.`, {
    status: response.status,
  });
}

function isThere(value: unknown): boolean {
  return value !== undefined;
}
