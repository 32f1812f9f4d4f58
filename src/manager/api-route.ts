import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { HttpProblem, readJson } from './http-io.ts';

type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** Which credential a route asks for; `none` for what anyone may read. */
export type Access = 'api-token' | 'enrolment-token' | 'connect-token' | 'none';

export interface Call {
  readonly request: IncomingMessage;
  /** Decoded, by the names in the route's path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Aborts when the caller hangs up or the manager closes. */
  readonly signal: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation: what answers it, and what the description says of it. */
export interface Route {
  readonly method: HttpMethod;
  /** With its parameters in braces: `/api/v1/tasks/{taskId}`. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly body: z.ZodType | undefined;
  /** By name, with the description of each; every one is optional. */
  readonly query: Readonly<Record<string, { readonly description: string; readonly schema: z.ZodType }>>;
  /** By status; undefined for an answer without a body. */
  readonly replies: Readonly<Record<number, z.ZodType | undefined>>;
  readonly handle: (call: Call) => Promise<Reply> | Reply;
}

interface RouteOptions<B extends z.ZodType> {
  method: HttpMethod;
  path: string;
  access?: Access;
  summary: string;
  query?: Route['query'];
  replies: Route['replies'];
  maxBodyBytes?: number;
  body: B;
  handle: (call: Call, body: z.output<B>) => Promise<Reply> | Reply;
}

const MAX_BODY_BYTES = 262_144;

/** A route without a body. */
export function route(
  options: Omit<RouteOptions<z.ZodType>, 'body' | 'handle' | 'maxBodyBytes'> & { handle: Route['handle'] },
): Route {
  const { access = 'api-token', query = {}, ...rest } = options;
  return { ...rest, access, query, body: undefined };
}

/** A route whose handler gets a body that was read and checked. */
export function bodyRoute<B extends z.ZodType>(options: RouteOptions<B>): Route {
  const { access = 'api-token', query = {}, maxBodyBytes = MAX_BODY_BYTES, handle, ...rest } = options;
  return {
    ...rest,
    access,
    query,
    handle: async (call) => handle(call, parse(options.body, await readJson(call.request, maxBodyBytes))),
  };
}

/** A parameter that stands in the path of the route. */
export function param(params: Call['params'], name: string): string {
  const value = params[name];
  if (value === undefined) throw new TypeError(`the path has no parameter ${name}`);
  return value;
}

/** @throws HttpProblem 400 naming every wrong field, never its value */
export function parse<S extends z.ZodType>(schema: S, raw: unknown, under = ''): z.output<S> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.map(({ path, message }) => {
    const field = [under, ...path.map(String)].filter((part) => part !== '').join('.');
    return field === '' ? message : `${field}: ${message}`;
  });
  throw new HttpProblem(400, 'invalid-input', complaints.join('; '), {
    hint: 'Correct the named fields; /openapi.json describes each.',
  });
}
