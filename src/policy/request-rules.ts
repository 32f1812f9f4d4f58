import type { DelegateError } from '../kit/errors.ts';
import type { HttpRequest } from '../kit/http-exchange.ts';
import { policyError } from './errors.ts';

/**
 * What a filter and a server could read differently: separators, dots, percent signs and control characters that are
 * encoded; backslashes; parameters; doubled slashes; segments that move. A URL object has resolved those already that
 * it takes for dots and slashes itself.
 */
const AMBIGUOUS_PATH = /%(?:2e|2f|5c|25|3b|[01][0-9a-f]|7f)|[\\;\p{Cc}]|\/\/|\/\.{1,2}(?:\/|$)/iu;

/**
 * The REST interfaces of ServiceNow, below whatever context path: its own, and those of scopes, which are applications
 * (`sn_`, `x_`) and companies by their number. Other servers have tokens below `/api`, too.
 */
const SERVICENOW_API = /\/api\/(?:now|global|sn_[^/]*|x_[^/]*|\d{4,})(?:\/|$)/i;

/** The one address that rows are read from. */
const TABLE_PATH = /^((?:\/[A-Za-z0-9_~.-]+)*)\/api\/now\/table\/([a-z][a-z0-9_.]*)$/;

/** A read of one table. */
export interface TableRead {
  /** Of the instance: its origin, and the context path if it has one. */
  readonly instance: string;
  readonly table: string;
}

/** Refuses a URL that says more than where to go, or says it in more than one way. Holds for every request. */
export function assertPlainUrl(url: URL): void {
  const reparsed = new URL(url.href);
  if (url.username !== '' || url.password !== '') throw urlRefused(url, 'it holds a user name or password');
  if (url.hash !== '') throw urlRefused(url, 'it has a fragment');
  if (AMBIGUOUS_PATH.test(url.pathname)) throw urlRefused(url, 'its path has encoded or doubled separators');
  if (reparsed.origin !== url.origin || reparsed.pathname !== url.pathname) {
    throw urlRefused(url, 'read again, it is another one');
  }
}

function urlRefused({ host }: URL, why: string): DelegateError {
  return policyError('policy.url-refused', `A request to ${host} was not sent: ${why}.`, {
    details: { rule: 'plain-url', host },
  });
}

/** Refuses a POST to what changes records: tokens are never got there. */
export function assertTokenRequest({ method, url }: HttpRequest): void {
  if (method !== 'POST')
    throw requestRefused(url, 'read-only', `${method} is not what a token is asked for with`);
  if (SERVICENOW_API.test(url.pathname)) {
    throw requestRefused(url, 'read-only', 'a POST to the API of ServiceNow could change records');
  }
}

/** What is read; refuses whatever else there is than a GET of a table's rows, at most so many of them. */
export function assertTableRead({ method, url }: HttpRequest, maxRows: number): TableRead {
  if (method !== 'GET')
    throw requestRefused(url, 'read-only', `tables are read with GET, and not with ${method}`);
  const [, context, table] = TABLE_PATH.exec(url.pathname) ?? [];
  if (context === undefined || table === undefined) {
    throw requestRefused(url, 'read-only', 'its path is not that of a table');
  }
  const limits = url.searchParams.getAll('sysparm_limit');
  const [limit = ''] = limits;
  if (limits.length !== 1 || !/^\d{1,6}$/.test(limit) || Number(limit) > maxRows) {
    throw requestRefused(url, 'limits.maxRows', `it asks for more than ${maxRows} rows, or names no limit`);
  }
  return { instance: url.origin + context, table };
}

export function requestRefused({ host }: URL, rule: string, why: string): DelegateError {
  return policyError('policy.request-not-allowed', `A request to ${host} was not sent: ${why}.`, {
    details: { rule, host },
  });
}
