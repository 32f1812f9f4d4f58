import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { Secret } from '../kit/secret.ts';
import { systemClock } from '../kit/time.ts';
import { CONNECT_PATH } from '../protocol/limits.ts';
import { createHttpHandler } from './api.ts';
import { apiRoutes } from './api-routes.ts';
import { Approvals } from './approvals.ts';
import { ConnectEndpoint, refuseUpgrade } from './connect-endpoint.ts';
import { ReplayCache, type ConnectTokenRules } from './connect-token.ts';
import { delegateRoutes } from './delegate-routes.ts';
import { Enrolment, type IssuedEnrolmentToken, type NewEnrolmentToken } from './enrolment.ts';
import { HttpProblem } from './http-io.ts';
import { resolveOptions, type ManagerOptions, type Settings } from './options.ts';
import { Scheduler, type TaskRequest } from './scheduler.ts';
import type { SessionSnapshot } from './session.ts';
import { SessionTable } from './session-table.ts';
import type { ApprovalRecord, DelegateRecord, TaskRecord } from './store.ts';
import { openTaskSigner } from './task-signing.ts';

export type { ManagerEvent } from './events.ts';
export type { FrameObserver, ManagerLog, ManagerOptions } from './options.ts';
export type { TaskRequest } from './scheduler.ts';
export { createMemoryStore, type ManagerStore, type TaskRecord } from './store.ts';

const API_TOKEN_BYTES = 32;
/** For a request to arrive in full; a long poll starts after that. */
const REQUEST_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
/** Sessions and callers together. */
const MAX_CONNECTIONS = 6_000;
/** For answers that are on their way when the manager closes. */
const CLOSE_GRACE_MS = 1_000;
/** What `close` tells delegates about when to come back. */
const CLOSE_RECONNECT_AFTER_MS = 1_000;

export interface Manager extends AsyncDisposable {
  /** Where it listens, without a trailing slash. */
  readonly url: string;
  /** What delegates are configured with, without a trailing slash. */
  readonly publicUrl: string;
  readonly apiToken: Secret;
  /** Snapshots, oldest first. */
  readonly tasks: readonly TaskRecord[];
  readonly delegates: readonly DelegateRecord[];
  readonly sessions: readonly SessionSnapshot[];
  readonly approvals: readonly ApprovalRecord[];
  createEnrolmentToken(wanted?: NewEnrolmentToken): IssuedEnrolmentToken;
  /** @throws DelegateError `too-many-tasks`, `manager-closed` */
  submit(request: TaskRequest): TaskRecord;
  task(taskId: string): TaskRecord | undefined;
  /** Rejects with the signal's reason, `task-not-found` or `manager-closed`. */
  whenEnded(taskId: string, signal: AbortSignal): Promise<TaskRecord>;
  cancel(taskId: string, reason: string): TaskRecord | undefined;
  /** @returns false if there is no such delegate */
  revoke(delegateId: string): boolean;
  /** No delegate is assigned anything until `resume`; those that connect meanwhile included. */
  pause(reason: string): void;
  resume(): void;
  /** Asks every delegate to move its session within `reconnectAfterMs`; closes 1001 those that stay. */
  drain(reason: string, reconnectAfterMs: number): void;
  /** Idempotent. Resolves when every session, request, timer and socket has ended. */
  close(): Promise<void>;
}

/**
 * Starts a manager and resolves once it listens.
 *
 * @throws DelegateError `invalid-options`; Node's error if the address can't be listened on
 */
export async function startManager(options: ManagerOptions = {}): Promise<Manager> {
  const settings = resolveOptions(options);
  const apiToken = options.apiToken ?? new Secret(randomBytes(API_TOKEN_BYTES).toString('base64url'));
  const { store, clock, log } = settings;
  const signer = settings.signTasks ? await openTaskSigner(store, clock) : undefined;

  const server = createServer({ headersTimeout: HEADERS_WITHIN_MS, requestTimeout: REQUEST_WITHIN_MS });
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, settings);
  server.on('error', (error) => log.error({ error }, 'the server could not take a connection'));
  const url = httpUrl(settings.host, port);
  const publicUrl = withoutSlash(settings.publicUrl?.href ?? url);
  const basePath = withoutSlash(new URL(publicUrl).pathname);

  const closing = new AbortController();
  const enrolment = new Enrolment(store, clock);
  const scheduler = new Scheduler(settings, signer);
  const sessions = new SessionTable(settings, scheduler, signer);
  const approvals = new Approvals(settings, scheduler);
  const tokenRules: ConnectTokenRules = {
    audiences: options.publicUrl === undefined ? loopbackSpellings(url, port) : spellings(options.publicUrl),
    delegateByThumbprint: (thumbprint) => enrolment.delegateByThumbprint(thumbprint),
    seen: new ReplayCache(store.seenTokens),
    clock,
  };
  const connect = new ConnectEndpoint(tokenRules, sessions);
  const handle = createHttpHandler({
    routes: [
      ...delegateRoutes(enrolment, signer, tokenRules),
      ...apiRoutes({ settings, scheduler, sessions, enrolment, approvals, signer }),
    ],
    apiToken,
    version: settings.version,
    log,
    closing: closing.signal,
  });

  /** A proxy in front may or may not take the base path off. */
  const pathOf = (target = '/'): string =>
    basePath !== '' && target.startsWith(`${basePath}/`) ? target.slice(basePath.length) : target;

  server.on('request', (request, response) => {
    void handle(request, pathOf(request.url), response);
  });
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request.url).split('?', 1)[0] !== CONNECT_PATH) {
      refuseUpgrade(
        socket,
        new HttpProblem(404, 'not-found', 'There is no WebSocket at this address.'),
        clock,
      );
      return;
    }
    connect.upgrade(request, socket, head).catch((error: unknown) => {
      log.error({ error }, 'an upgrade could not be answered');
      socket.destroy();
    });
  });

  const end = async (): Promise<void> => {
    const reason = 'the manager is going away';
    closing.abort(new Error(reason));
    connect.close();
    sessions.drain(reason, CLOSE_RECONNECT_AFTER_MS);
    await approvals.close();
    scheduler.close();
    const stopped = once(server, 'close');
    server.close();
    // Real time, as for sessions: it bounds callers that neither finish a request nor read an answer.
    const cut = systemClock.after(CLOSE_GRACE_MS, () => server.closeAllConnections());
    await sessions.closeAll(reason);
    await stopped;
    cut.cancel();
    log.info({}, 'manager closed');
  };
  let ended: Promise<void> | undefined;
  const close = (): Promise<void> => (ended ??= end());

  return {
    url,
    publicUrl,
    apiToken,
    get tasks() {
      return scheduler.tasks();
    },
    get delegates() {
      return [...store.delegates.values()];
    },
    get sessions() {
      return sessions.snapshots();
    },
    get approvals() {
      return approvals.all();
    },
    createEnrolmentToken: (wanted = {}) => enrolment.issue(wanted),
    submit: (request) => scheduler.submit(request),
    task: (taskId) => scheduler.task(taskId),
    whenEnded: (taskId, signal) => scheduler.whenEnded(taskId, signal),
    cancel: (taskId, reason) => scheduler.cancel(taskId, reason),
    revoke(delegateId) {
      if (!enrolment.revoke(delegateId)) return false;
      sessions.revoke(delegateId);
      return true;
    },
    pause: (reason) => sessions.pause(reason),
    resume: () => sessions.resume(),
    drain: (reason, reconnectAfterMs) => sessions.drain(reason, reconnectAfterMs),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listen(server: Server, { host, port }: Settings): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return address.port;
}

function httpUrl(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** For a first run, where nobody has said by which name the manager is called. */
function loopbackSpellings(url: string, port: number): string[] {
  return [...new Set([url, ...['127.0.0.1', 'localhost', '::1'].map((host) => httpUrl(host, port))])];
}

/** A delegate signs the address as it was configured, which need not be as a URL parser writes it. */
function spellings(publicUrl: string): string[] {
  return [...new Set([new URL(publicUrl).href, publicUrl].map(withoutSlash))];
}

function withoutSlash(text: string): string {
  return text.replace(/\/+$/, '');
}
