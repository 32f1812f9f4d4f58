import { gzipSync } from 'node:zlib';
import type { Clock } from '../../../kit/time.ts';
import type { OAuthServer, TokenBody } from '../access/oauth.ts';
import {
  CANCELLED_TRANSACTION,
  genericServerError,
  noRecord,
  rateLimitExceeded,
  tableForbidden,
} from '../http/failures.ts';
import * as pages from '../http/pages.ts';
import { addHeader, failure, withHeader, type Reply } from '../http/reply.ts';
import type { ReceivedRequest } from '../http/request.ts';
import { sysIdFor, valueOf, type Records, type Row } from '../records/store.ts';
import type { Reading } from '../table-api/read.ts';
import * as answers from './answers.ts';
import { bytesOf, inPieces, slices, splitInsideCharacter, type Delivery } from './delivery.ts';

/** What a fault may be told; each uses what it needs. */
export interface FaultParameters {
  /** A duration or a shift of the clock, milliseconds. */
  readonly ms?: number | undefined;
  readonly seconds?: number | undefined;
  readonly atByte?: number | undefined;
  readonly field?: string | undefined;
  readonly number?: string | undefined;
}

/** What a fault sees of its surroundings. */
export interface Scene {
  readonly request: ReceivedRequest;
  readonly records: Records;
  readonly oauth: OAuthServer;
  readonly clock: Clock;
}

/**
 * One fault: a function for the moment at which it strikes. `read` and `api` concern the Table API after a successful
 * login, `token` a granted token request; the others strike anywhere.
 */
export interface FaultKind {
  /** Answers in front of the instance, before credentials are looked at. */
  readonly front?: (parameters: FaultParameters, scene: Scene) => Reply;
  readonly read?: (reading: Reading, parameters: FaultParameters, scene: Scene) => Reading;
  readonly api?: (reply: Reply, parameters: FaultParameters, scene: Scene) => Reply;
  readonly token?: (body: TokenBody, parameters: FaultParameters, scene: Scene) => TokenBody;
  readonly reply?: (reply: Reply, parameters: FaultParameters, scene: Scene) => Reply;
  readonly deliver?: (delivery: Delivery, parameters: FaultParameters) => Delivery;
}

const DEFAULT_STALL_MS = 60_000;
const DEFAULT_SLOW_MS = 2_000;
const DEFAULT_SKEW_MS = 10 * 60_000;
const DEFAULT_RETRY_AFTER_S = 1_800;
const SLOW_PIECES = 8;

function define<K extends string>(kinds: Readonly<Record<K, FaultKind>>): Readonly<Record<K, FaultKind>> {
  return kinds;
}

/** The faults by name. One fault, one entry. */
export const FAULT_KINDS = define({
  // In front of the instance
  'hibernate-html': { front: pages.hibernating },
  'hibernate-redirect': { front: pages.hibernatingRedirect },
  waking: { front: pages.waking },
  'sso-redirect': { front: pages.singleSignOnRedirect },
  'login-html': { front: pages.login },
  'gateway-502': { front: () => pages.gateway(502) },
  'gateway-503': { front: () => pages.gateway(503) },
  'gateway-504': { front: () => pages.gateway(504) },
  maintenance: { front: pages.maintenance },
  'maintenance-until': { front: ({ seconds = DEFAULT_RETRY_AFTER_S }) => answers.maintenanceUntil(seconds) },
  'tomcat-400': { front: pages.headerTooLarge },
  'client-certificate-400': { front: answers.clientCertificateMissing },
  'no-resource-404': { front: answers.noSuchAddress },
  'uri-too-long': { front: answers.uriTooLong },
  'not-found-html': { front: answers.notFoundPage },
  'address-refused-html': { front: answers.addressRefusedPage },
  'address-refused-plain': { front: answers.addressRefusedText },
  'idp-redirect': { front: answers.identityProviderRedirect },
  'canonical-redirect': { front: (_parameters, { request }) => answers.canonicalRedirect(request) },
  'proxy-407': { front: answers.proxyAuthentication },
  'timeout-408': { front: answers.requestTimeout },
  'closed-499': { front: answers.clientClosedRequest },
  'origin-520': { front: answers.originDown },
  'rate-limit': {
    front: ({ seconds = DEFAULT_RETRY_AFTER_S }, { clock }) =>
      rateLimitExceeded(seconds, Math.floor(clock.now() / 1_000) + seconds),
  },
  'rate-limit-until': {
    front: ({ seconds = DEFAULT_RETRY_AFTER_S }, { clock }) =>
      answers.rateLimitedUntil(Math.floor(clock.now() / 1_000) + seconds),
  },
  // Both semaphore pool and queue are full: no header says when to come back.
  semaphore: { front: () => failure(429, 'Too many concurrent requests', null) },

  // In the Table API
  'server-error': { api: genericServerError },
  'forbidden-acl': { api: (_reply, _parameters, { request }) => tableForbidden(tableOf(request)) },
  'forbidden-api': { api: answers.apiForbidden },
  'forbidden-query': { api: (_reply, _parameters, { request }) => answers.queryForbidden(tableOf(request)) },
  'forbidden-xml': { api: (_reply, _parameters, { request }) => answers.forbiddenXml(tableOf(request)) },
  'conflict-409': { api: answers.conflict },
  'unsupported-415': { api: answers.unsupportedMedia },
  'oauth-refusal': { api: answers.oauthRefusal },
  'legacy-failure': { api: answers.legacyFailure },
  'no-content': { api: answers.noContent },
  'partial-content': { api: (reply) => ({ ...reply, status: 206 }) },
  'empty-body': { api: answers.emptyBody },
  'not-found-acl': { api: noRecord },
  'ok-with-error': { api: (reply) => ({ ...reply, body: withError(reply.body) }) },
  'glued-error': { api: (reply) => ({ ...reply, body: withGluedError(reply.body) }) },
  'field-hidden': {
    read: (reading, { field = '' }) => ({ ...reading, hidden: new Set([...reading.hidden, field]) }),
  },
  'row-hidden': {
    read: (reading, { number }) => ({
      ...reading,
      rows: reading.rows.filter((row) => number !== undefined && valueOf(row, 'number') !== number),
    }),
  },
  'duplicate-number': {
    read: (reading) => ({ ...reading, rows: reading.rows.flatMap((row) => [row, twinOf(row)]) }),
  },
  'another-row': {
    read: (reading, _parameters, scene) => ({ ...reading, rows: othersThan(reading.rows, scene) }),
  },

  // At the token endpoint
  'token-rotated': { token: rotated },
  'token-missing': { token: (body) => without(body, 'access_token') },
  'token-expires-in-string': { token: (body) => ({ ...body, expires_in: String(body['expires_in']) }) },
  'token-expires-in-missing': { token: (body) => without(body, 'expires_in') },

  // In any answer
  'wrong-content-type': { reply: (reply) => withHeader(reply, 'Content-Type', 'text/plain;charset=UTF-8') },
  'duplicate-set-cookie': {
    reply: (reply) => addHeader(reply, 'Set-Cookie', 'glide_user_route=glide.other; Path=/; HttpOnly'),
  },
  'clock-skew': {
    reply: (reply, { ms = DEFAULT_SKEW_MS }, { clock }) =>
      withHeader(reply, 'Date', new Date(clock.now() + ms).toUTCString()),
  },

  // On the socket
  'reset-before-headers': { deliver: (delivery) => ({ ...delivery, reset: 'before-headers' }) },
  'reset-after-headers': { deliver: (delivery) => ({ ...delivery, chunks: [], reset: 'after-chunks' }) },
  'reset-mid-body': {
    deliver: (delivery) => ({
      ...halved(delivery),
      chunks: halved(delivery).chunks.slice(0, 1),
      reset: 'after-chunks',
    }),
  },
  'stall-headers': { deliver: (delivery, { ms = DEFAULT_STALL_MS }) => ({ ...delivery, waitMs: ms }) },
  'stall-body': { deliver: (delivery, { ms = DEFAULT_STALL_MS }) => halved(delivery, ms) },
  slow: {
    deliver: (delivery, { ms = DEFAULT_SLOW_MS }) =>
      inPieces(delivery, slices(bytesOf(delivery), SLOW_PIECES), ms / (SLOW_PIECES - 1)),
  },
  truncate: {
    deliver: (delivery, { atByte }) => {
      const bytes = bytesOf(delivery);
      return inPieces(delivery, [bytes.subarray(0, atByte ?? Math.floor(bytes.length / 2))], 0);
    },
  },
  'split-utf8': { deliver: (delivery) => inPieces(delivery, splitInsideCharacter(bytesOf(delivery)), 0) },
  'gzip-corrupted': { deliver: corrupted },
});

export type FaultName = keyof typeof FAULT_KINDS;

function tableOf({ route }: ReceivedRequest): string {
  return route.to === 'table' ? route.table : '';
}

/** Streaming had begun with status 200 when the transaction was cancelled: valid JSON, worthless rows. */
function withError(body: string): string {
  const error = JSON.stringify(CANCELLED_TRANSACTION).slice(1);
  return body.startsWith('{"result":') ? `${body.slice(0, -1)},${error}` : body;
}

/** The same, with the array left open: what follows is not JSON any more. */
function withGluedError(body: string): string {
  return withError(body).replace(/\],"error":/, ',"error":');
}

/** A second record of the same number: numbers are unique by custom alone. */
function twinOf(row: Row): Row {
  const sysId = sysIdFor('twin', valueOf(row, 'sys_id'));
  return { table: row.table, values: new Map([...row.values, ['sys_id', sysId]]) };
}

/** As many rows of the table as were asked for, but other ones: a filter that was not applied. */
function othersThan(rows: readonly Row[], { request, records }: Scene): Row[] {
  const asked = new Set(rows.map((row) => valueOf(row, 'sys_id')));
  return records
    .in(tableOf(request))
    .filter((row) => !asked.has(valueOf(row, 'sys_id')))
    .slice(0, Math.max(1, rows.length));
}

function without(body: TokenBody, key: string): TokenBody {
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== key));
}

/** The old refresh token is dead from here on: whoever doesn't keep the new one is locked out at the next renewal. */
function rotated(body: TokenBody, _parameters: FaultParameters, { request, oauth }: Scene): TokenBody {
  const current = new URLSearchParams(request.body).get('refresh_token') ?? '';
  const next = oauth.rotate(current);
  return next === undefined ? body : { ...body, refresh_token: next };
}

function halved(delivery: Delivery, waitMs = 0): Delivery {
  return inPieces(delivery, slices(bytesOf(delivery), 2), waitMs);
}

function corrupted(delivery: Delivery): Delivery {
  const bytes = gzipSync(bytesOf(delivery));
  // The header stays intact, so that a client starts to decompress before it finds out.
  for (let at = 12; at < bytes.length; at += 3) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  const headers = [...delivery.headers, ['Content-Encoding', 'gzip'] as const];
  return inPieces({ ...delivery, headers }, [bytes], 0);
}
