import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../src/kit/time.ts';
import { listenOnLoopback } from './listen.ts';

/**
 * A stand-in for Vault and OpenBao over real HTTP, made from HashiCorp's API reference (KV secrets engine version 1 and
 * 2, auth methods token, AppRole, Kubernetes and JWT, `sys/internal/ui/mounts`). It is no Vault: it knows the calls that
 * the delegate makes, and how the server fails.
 */
export interface FakeVaultOptions {
  readonly clock: Clock;
  /** PEM; without it, plain http. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Requests that name another one find nothing. */
  readonly namespace?: string;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Token {
  ttlS: number;
  readonly renewable: boolean;
  /** Monotonic; infinite for a root token. */
  expiresAt: number;
}

interface Version {
  data: Record<string, unknown> | null;
  deletion_time: string;
  destroyed: boolean;
}

type Engine = { readonly type: string; readonly version: 1 | 2; readonly secrets: Map<string, Version[]> };

const MAX_BODY_BYTES = 1_048_576;

const fieldsSchema = z.record(z.string(), z.unknown());
const writeSchema = z.object({ options: z.object({ cas: z.number() }).optional(), data: fieldsSchema });

export class FakeVault implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** Answers before anything else is looked at; `hang` never does. */
  fault: ((request: SeenRequest) => Answer | 'hang' | undefined) | undefined;
  /** Called before a write is judged, as by another writer. */
  beforeWrite: (() => void) | undefined;
  /** Paths, without `/v1/`, that no policy grants. */
  readonly denied = new Set<string>();
  /** By mount: what a login body has to be. */
  readonly logins = new Map<string, Readonly<Record<string, string>>>();
  /** Of tokens that a login gives. */
  loginLease = { ttlS: 3_600, renewable: true };
  readonly #engines = new Map<string, Engine>();
  readonly #tokens = new Map<string, Token>();
  readonly #options: FakeVaultOptions;
  readonly #close: () => Promise<void>;
  readonly address: string;

  private constructor(options: FakeVaultOptions, address: string, close: () => Promise<void>) {
    this.#options = options;
    this.address = address;
    this.#close = close;
  }

  static async start(options: FakeVaultOptions): Promise<FakeVault> {
    const { tls } = options;
    const server = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    const port = await listenOnLoopback(server);
    const vault = new FakeVault(
      options,
      `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
      () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      vault.#serve(request, response).catch(() => response.destroy());
    });
    return vault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  mount(name: string, version: 1 | 2, type = 'kv'): void {
    this.#engines.set(name, { type, version, secrets: new Map() });
  }

  put(mount: string, path: string, data: Record<string, unknown>): void {
    const { secrets, version } = this.#engine(mount);
    const versions = version === 2 ? (secrets.get(path) ?? []) : [];
    secrets.set(path, [...versions, { data, deletion_time: '', destroyed: false }]);
  }

  newest(mount: string, path: string): Record<string, unknown> | null | undefined {
    return this.#engine(mount).secrets.get(path)?.at(-1)?.data;
  }

  versionsOf(mount: string, path: string): number {
    return this.#engine(mount).secrets.get(path)?.length ?? 0;
  }

  delete(mount: string, path: string, destroyed = false): void {
    const newest = this.#engine(mount).secrets.get(path)?.at(-1);
    if (newest === undefined) throw new Error('there is nothing to delete');
    Object.assign(newest, { data: null, destroyed, deletion_time: destroyed ? '' : '2026-11-23T10:00:00Z' });
  }

  /** A token without an end unless it is given one. */
  issue(token: string, ttlS = 0, renewable = false): string {
    const expiresAt = ttlS === 0 ? Number.POSITIVE_INFINITY : this.#now() + ttlS * 1_000;
    this.#tokens.set(token, { ttlS, renewable, expiresAt });
    return token;
  }

  revokeAll(): void {
    this.#tokens.clear();
  }

  /** Requests of this path so far. */
  count(path: string): number {
    return this.seen.filter((request) => request.path === path).length;
  }

  #engine(mount: string): Engine {
    const engine = this.#engines.get(mount);
    if (engine === undefined) throw new Error(`nothing is mounted at ${mount}`);
    return engine;
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of request) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError('the body is no bytes');
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) throw new RangeError('the body is too long');
      chunks.push(chunk);
    }
    const path = (request.url ?? '').replace(/^\/v1\//, '');
    const body = Buffer.concat(chunks).toString();
    const seen = { method: request.method ?? '', path, headers: request.headers, body };
    this.seen.push(seen);
    const answer = this.fault?.(seen) ?? this.#answer(seen);
    if (answer === 'hang') return;
    const { status, headers, text } = answer;
    const payload = text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body));
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(payload);
  }

  #answer({ method, path, headers, body }: SeenRequest): Answer {
    if (headers['x-vault-request'] !== 'true') return failure(400, 'missing header "X-Vault-Request"');
    if ((headers['x-vault-namespace'] ?? '') !== (this.#options.namespace ?? '')) {
      return failure(404, `no handler for route "${path}". route entry not found.`);
    }
    const [, loginMount] = /^auth\/(.+)\/login$/.exec(path) ?? [];
    if (loginMount !== undefined) return this.#logIn(loginMount, body);
    const name = headers['x-vault-token'];
    const token = typeof name === 'string' ? this.#tokens.get(name) : undefined;
    if (token === undefined || token.expiresAt <= this.#now())
      return failure(403, PERMISSION_DENIED, 'invalid token');
    if (this.denied.has(path)) return failure(403, PERMISSION_DENIED);
    if (path === 'auth/token/lookup-self') {
      const ttl = token.ttlS === 0 ? 0 : Math.ceil((token.expiresAt - this.#now()) / 1_000);
      return ok({ data: { ttl, renewable: token.renewable, id: name } });
    }
    if (path === 'auth/token/renew-self') return this.#renew(String(name), token);
    return this.#keyValue(method, path, body);
  }

  #logIn(mount: string, body: string): Answer {
    const expected = this.logins.get(mount);
    if (expected === undefined)
      return failure(404, `no handler for route "auth/${mount}/login". route entry not found.`);
    const given = fieldsSchema.parse(JSON.parse(body));
    if (Object.entries(expected).some(([key, value]) => given[key] !== value)) {
      return failure(400, 'invalid role or secret ID');
    }
    const { ttlS, renewable } = this.loginLease;
    const token = this.issue(`hvs.${randomUUID()}`, ttlS, renewable);
    return ok({ auth: { client_token: token, lease_duration: ttlS, renewable, policies: ['default'] } });
  }

  #renew(name: string, token: Token): Answer {
    if (!token.renewable) return failure(400, 'lease is not renewable');
    token.expiresAt = this.#now() + token.ttlS * 1_000;
    return ok({ auth: { client_token: name, lease_duration: token.ttlS, renewable: true, policies: [] } });
  }

  #keyValue(method: string, path: string, body: string): Answer {
    const preflight = /^sys\/internal\/ui\/mounts\/(.+)$/.exec(path)?.[1];
    const whole = preflight ?? path;
    const found = [...this.#engines].find(([mount]) => whole.startsWith(`${mount}/`));
    if (found === undefined) {
      return preflight === undefined
        ? failure(404, `no handler for route "${path}". route entry not found.`)
        : failure(
            403,
            "preflight capability check returned 403, please ensure client's policies grant access to path",
          );
    }
    const [mount, engine] = found;
    const below = whole.slice(mount.length + 1);
    if (preflight !== undefined) {
      return ok({
        data: { path: `${mount}/`, type: engine.type, options: { version: String(engine.version) } },
      });
    }
    return engine.version === 2
      ? this.#versioned(engine, method, below, body)
      : this.#plain(engine, method, below, body);
  }

  #plain({ secrets }: Engine, method: string, path: string, body: string): Answer {
    if (method === 'POST') {
      secrets.set(path, [
        { data: fieldsSchema.parse(JSON.parse(body)), deletion_time: '', destroyed: false },
      ]);
      return { status: 204 };
    }
    const data = secrets.get(path)?.at(-1)?.data;
    return data === undefined || data === null ? failure(404) : ok({ data, lease_duration: 2_764_800 });
  }

  #versioned({ secrets }: Engine, method: string, path: string, body: string): Answer {
    if (!path.startsWith('data/')) {
      const warning = 'Invalid path for a versioned K/V secrets engine.';
      return { status: 404, body: { errors: [], warnings: [warning] } };
    }
    const name = path.slice('data/'.length);
    if (method === 'POST') {
      this.beforeWrite?.();
      const { data, options } = writeSchema.parse(JSON.parse(body));
      const versions = secrets.get(name) ?? [];
      if (options !== undefined && options.cas !== versions.length) {
        return failure(400, 'check-and-set parameter did not match the current version');
      }
      secrets.set(name, [...versions, { data, deletion_time: '', destroyed: false }]);
      return ok({ data: { version: versions.length + 1 } });
    }
    const versions = secrets.get(name) ?? [];
    const newest = versions.at(-1);
    if (newest === undefined) return failure(404);
    const { data, deletion_time, destroyed } = newest;
    const metadata = {
      version: versions.length,
      created_time: '2026-11-01T00:00:00Z',
      deletion_time,
      destroyed,
    };
    return { status: data === null ? 404 : 200, body: { data: { data, metadata }, lease_duration: 0 } };
  }
}

const PERMISSION_DENIED = 'permission denied';

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function failure(status: number, ...errors: string[]): Answer {
  return { status, body: { errors } };
}
