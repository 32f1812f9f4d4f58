import type { IncomingHttpHeaders } from 'node:http';

/** Where a request goes. */
export type Route =
  | {
      readonly to: 'table';
      readonly version: 'v1' | 'v2' | undefined;
      readonly table: string;
      readonly sysId: string | undefined;
    }
  | {
      readonly to: 'stats';
      readonly version: 'v1' | 'v2' | undefined;
      readonly table: string;
    }
  | { readonly to: 'token' }
  | { readonly to: 'revoke' }
  | { readonly to: 'unknown-api' }
  | { readonly to: 'page' };

export interface ReceivedRequest {
  readonly method: string;
  /** What the API is asked to do: the method, or what a POST names in `X-HTTP-Method-Override`. */
  readonly verb: string;
  /** Path and query as they stood in the request line. */
  readonly target: string;
  readonly path: string;
  readonly search: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly cookies: Readonly<Record<string, string>>;
  readonly body: string;
  readonly route: Route;
}

export function receive(
  message: { method?: string | undefined; url?: string | undefined; headers: IncomingHttpHeaders },
  body: string,
): ReceivedRequest {
  const { method = 'GET', url: target = '/', headers } = message;
  // Not `new URL`: it would take the first segment of `//api/now` for a host.
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const search = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1));
  return {
    method,
    verb: verbOf(method, headers['x-http-method-override']),
    target,
    path,
    search,
    headers,
    cookies: cookiesOf(headers.cookie),
    body,
    route: routeOf(path),
  };
}

function verbOf(method: string, override: string | string[] | undefined): string {
  return method === 'POST' && typeof override === 'string' ? override.toUpperCase() : method;
}

const STATS_PATH = /^\/api\/now(?:\/(v1|v2))?\/stats\/([^/]+)\/?$/;

const TABLE_PATH = /^\/api\/now(?:\/(v1|v2))?\/table\/([^/]+)(?:\/([^/]+))?\/?$/;

function routeOf(path: string): Route {
  const [, version, table, sysId] = TABLE_PATH.exec(path) ?? [];
  if (table !== undefined) return { to: 'table', version: versionOf(version), table: decoded(table), sysId };
  const [, statsVersion, counted] = STATS_PATH.exec(path) ?? [];
  if (counted !== undefined) {
    return { to: 'stats', version: versionOf(statsVersion), table: decoded(counted) };
  }
  if (path === '/oauth_token.do') return { to: 'token' };
  if (path === '/oauth_revoke_token.do') return { to: 'revoke' };
  return { to: path.startsWith('/api/') ? 'unknown-api' : 'page' };
}

function versionOf(text: string | undefined): 'v1' | 'v2' | undefined {
  return text === 'v1' || text === 'v2' ? text : undefined;
}

/** A malformed escape stays as it is; no table has such a name. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

function cookiesOf(header: string | undefined): Record<string, string> {
  const pairs = (header ?? '').split(';').map((pair): [string, string] => {
    const equals = pair.indexOf('=');
    return equals === -1 ? [pair.trim(), ''] : [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  });
  return Object.fromEntries(pairs.filter(([name]) => name !== ''));
}
