import { judge, type RequestFacts } from '../../../src/connectors/servicenow/errors.ts';
import {
  SERVICENOW_ERRORS,
  type ServiceNowErrorCode,
} from '../../../src/connectors/servicenow/error-kinds.ts';
import type { DelegateError, ErrorDetails, ErrorKind } from '../../../src/kit/errors.ts';
import type { HttpResponse } from '../../../src/kit/http-exchange.ts';

/** Answers as ServiceNow and what stands before it give them, and what is expected of their judgement. */

export const TARGET = 'https://example.service-now.com/api/now/table/change_request';

export const REQUEST: RequestFacts = {
  baseUrl: 'https://example.service-now.com',
  target: TARGET,
  user: 'svc_deploy',
  usedBearer: false,
  scrub: (text) => text,
};

type Headers = Readonly<Record<string, string>>;

export const answer = (status: number, type: string, body: string, headers: Headers = {}): HttpResponse => ({
  status,
  headers: { ...(type === '' ? {} : { 'content-type': type }), ...headers },
  body,
});

export const json = (status: number, value: unknown, headers: Headers = {}): HttpResponse =>
  answer(status, 'application/json;charset=UTF-8', JSON.stringify(value), headers);

export const envelope = (
  status: number,
  message: string,
  detail: string | null,
  headers: Headers = {},
): HttpResponse => json(status, { error: { message, detail }, status: 'failure' }, headers);

export const page = (status: number, body: string, headers: Headers = {}, title = 'Title'): HttpResponse =>
  answer(
    status,
    'text/html;charset=UTF-8',
    `<!DOCTYPE html><html><head><title>${title}</title></head><body>${body}</body></html>`,
    headers,
  );

export const plain = (status: number, body: string): HttpResponse => answer(status, 'text/plain', body);

export const redirect = (location: string, status = 302): HttpResponse => page(status, '', { location });

export const LOGIN_FORM = '<form><input name="user_name"><input name="user_password" type="password"></form>';
export const HIBERNATING =
  '<div class="instance-hibernating-page"><h1>Your instance is hibernating</h1></div>';

export interface Verdict {
  code: ServiceNowErrorCode;
  message: string;
  /** Where it is not the remedy of the code. */
  hint?: string;
  /** Where they are not those of the code. */
  category?: DelegateError['category'];
  retryable?: boolean;
  details: ErrorDetails;
}

/** The verdict in the form of what is to be told, whole. */
export function wireOf({ code, message, details, ...special }: Verdict, status: number): unknown {
  const { category, retryable = false, remedy: hint }: ErrorKind = SERVICENOW_ERRORS[code];
  return { code, message, hint, category, retryable, ...special, status, details };
}

export function judged(response: HttpResponse, request = REQUEST): DelegateError {
  const judgement = judge({ response }, request);
  if ('error' in judgement) return judgement.error;
  throw new Error('nothing was wrong with it');
}
