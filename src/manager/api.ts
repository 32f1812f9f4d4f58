import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Secret } from '../kit/secret.ts';
import { route, type Access, type Reply, type Route } from './api-route.ts';
import { secretEquals } from './enrolment.ts';
import { bearerToken, HttpProblem, sendJson, toHttpProblem } from './http-io.ts';
import { describeApi } from './openapi.ts';
import type { ManagerLog } from './options.ts';

interface ApiOptions {
  readonly routes: readonly Route[];
  readonly apiToken: Secret;
  readonly version: string | undefined;
  readonly log: ManagerLog;
  /** Aborts when the manager closes: no long poll outlives it. */
  readonly closing: AbortSignal;
}

interface CompiledRoute {
  readonly route: Route;
  readonly segments: readonly string[];
}

type HttpHandler = (request: IncomingMessage, path: string, response: ServerResponse) => Promise<void>;

/** Every route, with the two that describe and watch the rest. */
function allRoutes(routes: readonly Route[], version: string | undefined): Route[] {
  const all: Route[] = [
    ...routes,
    route({
      method: 'GET',
      path: '/livez',
      access: 'none',
      summary: 'Whether the process answers',
      replies: { 200: z.object({ status: z.literal('ok') }) },
      handle: () => ({ status: 200, body: { status: 'ok' } }),
    }),
    route({
      method: 'GET',
      path: '/openapi.json',
      access: 'none',
      summary: 'This description',
      replies: { 200: z.record(z.string(), z.unknown()) },
      handle: () => ({ status: 200, body: describeApi(all, version) }),
    }),
  ];
  return all;
}

/** Answers every request; never rejects. */
export function createHttpHandler(options: ApiOptions): HttpHandler {
  const compiled = allRoutes(options.routes, options.version).map((each) => ({
    route: each,
    segments: each.path.split('/'),
  }));
  const calls = new Set<AbortController>();
  options.closing.addEventListener('abort', () => {
    for (const call of calls) call.abort(options.closing.reason);
  });
  return async (request, path, response) => {
    const call = new AbortController();
    calls.add(call);
    response.once('close', () => {
      calls.delete(call);
      call.abort(new Error('the caller hung up'));
    });
    try {
      const { status, body, headers } = await answer(compiled, options, request, path, call.signal);
      sendJson(response, status, body, { ...leaving(options.closing), ...headers });
    } catch (error) {
      const problem = toHttpProblem(error) ?? unexpected(error, options, response);
      sendJson(response, problem.status, problem.body, { ...leaving(options.closing), ...problem.headers });
    }
  };
}

async function answer(
  compiled: readonly CompiledRoute[],
  options: ApiOptions,
  request: IncomingMessage,
  path: string,
  signal: AbortSignal,
): Promise<Reply> {
  const { pathname, search } = splitTarget(path);
  const here = compiled.flatMap(({ route: found, segments }) => {
    const params = match(segments, pathname);
    return params === undefined ? [] : [{ found, params }];
  });
  const chosen = here.find(({ found }) => found.method === request.method);
  if (chosen === undefined) {
    // Whoever has no token can't tell a missing route from a present one.
    if (pathname.startsWith('/api/')) assertAccess('api-token', request, options.apiToken);
    if (here.length === 0) throw new HttpProblem(404, 'not-found', 'There is nothing at this address.');
    const allow = here.map(({ found }) => found.method).join(', ');
    throw new HttpProblem(405, 'method-not-allowed', `This address takes ${allow}.`, { headers: { allow } });
  }
  assertAccess(chosen.found.access, request, options.apiToken);
  const query = new URLSearchParams(search);
  return chosen.found.handle({ request, params: chosen.params, query, signal });
}

/** A closing server waits for its connections, so none is kept for another request. */
function leaving(closing: AbortSignal): Record<string, string> {
  return closing.aborted ? { connection: 'close' } : {};
}

/** The other kinds of token are checked by the routes that take them. */
function assertAccess(access: Access, request: IncomingMessage, apiToken: Secret): void {
  if (access !== 'api-token') return;
  const token = bearerToken(request);
  if (token !== undefined && secretEquals(token, apiToken)) return;
  throw new HttpProblem(401, 'not-authenticated', 'The API token is missing or wrong.', {
    hint: 'Send it as Authorization: Bearer …',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function splitTarget(target: string): { pathname: string; search: string } {
  const at = target.indexOf('?');
  return at < 0
    ? { pathname: target, search: '' }
    : { pathname: target.slice(0, at), search: target.slice(at + 1) };
}

/** The parameters, if the path is of this form. Undecodable escapes are of no form. */
function match(segments: readonly string[], pathname: string): Record<string, string> | undefined {
  const given = pathname.split('/');
  if (given.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const text = given[index] ?? '';
    if (!segment.startsWith('{')) {
      if (segment !== text) return undefined;
      continue;
    }
    const value = decode(text);
    if (value === undefined || value === '') return undefined;
    params[segment.slice(1, -1)] = value;
  }
  return params;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function unexpected(error: unknown, { log, closing }: ApiOptions, response: ServerResponse): HttpProblem {
  if (closing.aborted) return new HttpProblem(503, 'manager-closed', 'The manager is closing.');
  // A caller that hung up is no defect; nobody is left to be answered.
  if (!response.destroyed) log.error({ error }, 'a request could not be answered');
  return new HttpProblem(500, 'internal', 'The manager met an unexpected error; its log has the details.');
}
