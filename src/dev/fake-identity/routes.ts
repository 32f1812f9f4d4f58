import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { JSONWebKeySet } from 'jose';
import { adfsJson, REFUSALS, type RefusalName } from './adfs-dialect.ts';
import { altered, insteadOf, type Faults } from './faults.ts';
import type { Exchange } from './http-plane.ts';
import type { TokenEndpoint } from './token-endpoint.ts';

/** Also served with a slash behind it. */
export const TOKEN_PATH = '/adfs/oauth2/token';
const KEYS_PATH = '/adfs/discovery/keys';
const DISCOVERY_PATH = '/adfs/.well-known/openid-configuration';

/** What became of a request. */
export interface Handled {
  readonly outcome: 'granted' | 'faulty' | 'served' | 'unknown-path' | RefusalName;
  /** Why a client was not authenticated, which AD FS tells its log alone. */
  readonly reason?: string;
}

export interface AdfsParts {
  origin: string;
  endpoint: TokenEndpoint;
  faults: Faults;
  jwks: JSONWebKeySet;
}

export function answerAdfs(
  parts: AdfsParts,
): (exchange: Exchange, form: URLSearchParams) => Promise<Handled> {
  const { origin, jwks } = parts;
  return async (exchange, form) => {
    const { method, path, response } = exchange;
    if (method === 'GET' && path === KEYS_PATH) return serve(response, jwks);
    if (method === 'GET' && path === DISCOVERY_PATH) return serve(response, discovery(origin));
    if (method === 'POST' && (path === TOKEN_PATH || path === `${TOKEN_PATH}/`)) {
      return await answerTokenRequest(parts, exchange, form);
    }
    response.writeHead(404, { 'content-length': '0' }).end();
    return { outcome: 'unknown-path' };
  };
}

async function answerTokenRequest(
  { endpoint, faults }: AdfsParts,
  exchange: Exchange,
  form: URLSearchParams,
): Promise<Handled> {
  const fault = faults.next();
  const instead = insteadOf(fault);
  if (instead !== undefined) {
    instead(exchange.response);
    return { outcome: 'faulty' };
  }
  const verdict = fault === 'server-error' ? { refused: 'internal' as const } : await endpoint.judge(form);
  if ('granted' in verdict) {
    sendToken(exchange, 200, altered(fault, verdict.granted));
    return { outcome: fault === undefined ? 'granted' : 'faulty' };
  }
  const { refused, ...why } = verdict;
  const { error, description } = REFUSALS[refused];
  sendToken(exchange, 400, { error, error_description: description });
  return { outcome: refused, ...why };
}

/** AD FS names itself by another address, and always by http, in the access tokens that it issues. */
export function issuerOf(origin: string): string {
  return `${origin.replace(/^https:/, 'http:')}/adfs/services/trust`;
}

function discovery(origin: string): Record<string, unknown> {
  return {
    issuer: `${origin}/adfs`,
    access_token_issuer: issuerOf(origin),
    token_endpoint: `${origin + TOKEN_PATH}/`,
    jwks_uri: origin + KEYS_PATH,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['RS256'],
  };
}

function serve(response: ServerResponse, body: unknown): { outcome: 'served' } {
  response.writeHead(200, { 'content-type': 'application/json;charset=UTF-8' }).end(adfsJson(body));
  return { outcome: 'served' };
}

function sendToken({ request, response }: Exchange, status: number, body: Record<string, unknown>): void {
  const requestId = request.headers['client-request-id'];
  response
    .writeHead(status, {
      'content-type': 'application/json;charset=UTF-8',
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'client-request-id': typeof requestId === 'string' ? requestId : randomUUID(),
    })
    .end(adfsJson(body));
}
