import { createServer, type RequestListener } from 'node:http';
import { expect } from 'chai';
import { z } from 'zod';
import type { Connector, ConnectorDeps, TaskContext, TaskType } from '../../src/connectors/connector.ts';
import { servicenow as servicenowConnector } from '../../src/connectors/servicenow/index.ts';
import type { GatherTimes } from '../../src/connectors/servicenow/tickets/ticket-reader.ts';
import { run as runPrepared, type Outcome } from '../../src/delegate/tasks/runner.ts';
import type { DevelopmentCertificate, FakeAdfs } from '../../src/dev/fake-identity/index.ts';
import {
  OAUTH,
  PASSWORDS,
  SEED,
  startFakeServiceNow,
  type FakeServiceNow,
  type FakeServiceNowOptions,
  type JournalEntry,
} from '../../src/dev/fake-servicenow/index.ts';
import { HttpClient } from '../../src/http/client.ts';
import { DelegateError } from '../../src/kit/errors.ts';
import { Redactor, type Secret } from '../../src/kit/secret.ts';
import { systemClock, type Clock } from '../../src/kit/time.ts';
import { noMetrics } from '../../src/observability/metrics.ts';
import { NO_TRACE } from '../../src/observability/tracing/tracer.ts';
import { defaultPolicy, type Policy } from '../../src/policy/policy.ts';
import { withSecretBounds } from '../../src/policy/secret-bounds.ts';
import { wireErrorSchema } from '../../src/protocol/messages.ts';
import { createLookup } from '../../src/secrets/lookup.ts';
import { secretNotFound, type FoundSecret, type Provider } from '../../src/secrets/provider.ts';
import { createResolver } from '../../src/secrets/resolver.ts';
import { dialerWith } from './dialer.ts';
import { listenOnLoopback } from './listen.ts';
import type { OidcProvider } from './oidc-provider.ts';

/** Long enough for any task of a test, milliseconds. */
const TASK_TIME_MS = 15_000;

/** For a connector whose clock a test moves by hand: a look does not wait for others until somebody moves it. */
export const ALONE: GatherTimes = { quietMs: 0, mostMs: 0 };

export interface Surroundings {
  readonly deps: ConnectorDeps;
  readonly redactor: Redactor;
  /** Values by the part of a reference behind `test:`. */
  readonly secrets: Map<string, string>;
  /** What the connector keeps in a state folder, by name. */
  readonly kept: Map<string, Secret>;
  close(): Promise<void>;
}

interface SurroundingsOptions {
  clock?: Clock;
  /** False: as an operator runs it, without the development switch. */
  allowLoopback?: boolean;
  /** Takes the place of the default one. */
  policy?: Policy;
  answerTimeoutMs?: number;
  /** References that the customer has made writable; only those of `test:` can be written. */
  writable?: readonly string[];
  /** Takes the place of the one in memory. */
  keptIn?: ConnectorDeps['kept'];
  /** Takes the place of the adapter's. */
  http?: (real: HttpClient) => ConnectorDeps['http'];
}

/** What a connector stands on: the real HTTP client, policy and resolver, over secrets that a test sets. */
export function surroundings(options: SurroundingsOptions = {}): Surroundings {
  const rules = { allowLoopback: options.allowLoopback ?? true };
  const redactor = new Redactor();
  const policy = withSecretBounds(options.policy ?? defaultPolicy(rules), redactor);
  const secrets = new Map<string, string>();
  const http = new HttpClient({
    dialer: dialerWith(),
    guardUrl: (url) => policy.assertUrl(url),
    guardRequest: (exchange) => policy.assertRequest(exchange),
    guardAddress: (address) => policy.assertAddress(address),
    userAgent: 'servicenow-delegate/1.2.3',
    ...(options.answerTimeoutMs === undefined ? {} : { answerTimeoutMs: options.answerTimeoutMs }),
  });
  const provider: Provider = {
    read(locator): Promise<FoundSecret> {
      const value = secrets.get(locator);
      return value === undefined
        ? Promise.reject(
            secretNotFound(`test:${locator}`, `The secret test:${locator} is not there.`, 'Set it.'),
          )
        : Promise.resolve({ value, place: `test ${locator}` });
    },
    write(locator, value): Promise<void> {
      secrets.set(locator, value);
      return Promise.resolve();
    },
  };
  const kept = new Map<string, Secret>();
  return {
    redactor,
    secrets,
    kept,
    deps: {
      http: options.http?.(http) ?? http,
      secrets: createResolver({
        lookup: createLookup({
          kinds: { test: { form: 'test:name', setting: undefined, make: () => provider } },
          names: {},
          options: { environment: {}, directory: undefined, ownPlaces: [], stores: undefined },
        }),
        writable: options.writable ?? [],
        admit: (name, origins, signal) => policy.admitSecret(name, origins, signal),
        protect: (value, origins) => redactor.register(value, { origins }),
        log: { info: () => {}, warn: () => {} },
      }),
      kept: options.keptIn ?? {
        read: (name) => Promise.resolve(kept.get(name)),
        keep: (name, secret) => Promise.resolve(void kept.set(name, secret)),
        forget: (name) => Promise.resolve(void kept.delete(name)),
      },
      clock: options.clock ?? systemClock,
      policy,
      // No jitter: a retry that no server asked to delay comes at once.
      random: () => 0,
      meter: noMetrics,
      protect: (value, origins) => redactor.register(value, { origins }),
      scrub: (text) => redactor.scrub(text),
      delegate: { id: () => 'delegate-1', name: 'test delegate', version: '1.2.3' },
    },
    close: () => http[Symbol.asyncDispose](),
  };
}

interface WatchedContext extends TaskContext {
  readonly logged: { fields: Record<string, unknown>; message: string }[];
  readonly progressed: string[];
}

export function taskContext(
  options: { clock?: Clock; signal?: AbortSignal; timeMs?: number } = {},
): WatchedContext {
  const clock = options.clock ?? systemClock;
  const logged: WatchedContext['logged'] = [];
  const progressed: string[] = [];
  const keep = (fields: Record<string, unknown>, message: string): void => {
    logged.push({ fields, message });
  };
  return {
    signal: options.signal ?? new AbortController().signal,
    deadline: clock.monotonic() + (options.timeMs ?? TASK_TIME_MS),
    clock,
    log: { debug: keep, info: keep, warn: keep },
    fence: () => {},
    progress: (message) => void progressed.push(message),
    usedSecret: () => {},
    trace: NO_TRACE,
    logged,
    progressed,
  };
}

// --- what travels in a task's input -------------------------------------------------------------------------

export interface AuthInput {
  type: string;
  spec: Readonly<Record<string, unknown>>;
}

export function connectorTo(
  url: string,
  auth: AuthInput,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'ServiceNow test',
    identifier: 'servicenow_test',
    type: 'ServiceNow',
    spec: { serviceNowUrl: url, auth },
    ...more,
  };
}

/** A change in Implement, which the criteria ask for. */
export const QUESTION = {
  ticket: { type: 'change_request', number: SEED.changes.implement },
  approvalCriteria: {
    type: 'KeyValues',
    spec: { conditions: [{ key: 'state', operator: 'equals', value: 'Implement' }] },
  },
} as const;

// --- what a task answers: this suite's own reading of it ------------------------------------------------------

const reportSchema = z.strictObject({
  status: z.enum(['SUCCESS', 'FAILURE']),
  errorSummary: z.string().optional(),
  errors: z.array(wireErrorSchema),
  warnings: z.array(wireErrorSchema),
  checks: z.array(
    z.strictObject({
      id: z.string(),
      title: z.string().min(1),
      status: z.enum(['passed', 'failed', 'warned', 'skipped']),
      durationMs: z.number().int().min(0),
      detail: z.string().optional(),
    }),
  ),
  testedAt: z.iso.datetime(),
  delegate: z.strictObject({ id: z.string(), name: z.string(), version: z.string() }),
});

export type Report = z.infer<typeof reportSchema>;

/** Throws if it is not exactly what the contract says. */
export function readReport(output: unknown): Report {
  return reportSchema.parse(output);
}

const criteriaSchema = z.strictObject({
  met: z.boolean(),
  conditions: z.array(
    z.strictObject({
      key: z.string(),
      operator: z.string(),
      expected: z.string(),
      value: z.string(),
      displayValue: z.string(),
      compared: z.enum(['either', 'value', 'displayValue']),
      met: z.boolean(),
    }),
  ),
});

const answerSchema = z.strictObject({
  decision: z.enum(['approved', 'rejected', 'pending']),
  reason: z.string().min(1),
  approval: criteriaSchema,
  rejection: criteriaSchema.nullable(),
  window: z
    .strictObject({
      start: z.iso.datetime().nullable(),
      end: z.iso.datetime().nullable(),
      now: z.iso.datetime(),
      inside: z.boolean(),
    })
    .nullable(),
  ticket: z.strictObject({
    type: z.string(),
    number: z.string(),
    sysId: z.string(),
    url: z.url(),
    updatedAt: z.string(),
    fields: z.record(z.string(), z.strictObject({ value: z.string(), displayValue: z.string() })),
  }),
  warnings: z.array(wireErrorSchema),
  checkedAt: z.iso.datetime(),
});

export type Answer = z.infer<typeof answerSchema>;

// --- the bench ------------------------------------------------------------------------------------------------

/** A connector over its surroundings, with a fake instance to work against. */
export interface Bench extends AsyncDisposable {
  readonly instance: FakeServiceNow;
  readonly surroundings: Surroundings;
  readonly tasks: { readonly validate: TaskType; readonly check: TaskType };
  /** Basic authentication, with the password that the fake knows. */
  asUser(userName: keyof typeof PASSWORDS): AuthInput;
  /** A refresh token of the fake's own token server, or of another one. */
  byRefreshToken(more?: Readonly<Record<string, unknown>>): AuthInput;
  validate(auth: AuthInput, options?: RunOptions): Promise<Report>;
  check(auth: AuthInput, question: Readonly<Record<string, unknown>>, options?: RunOptions): Promise<Answer>;
  /** As the delegate's runner does it: scrubbed, and never rejecting. */
  outcome(task: TaskType, input: unknown, context?: WatchedContext): Promise<Outcome>;
}

export interface RunOptions {
  context?: TaskContext;
  /** Of the connector. */
  connector?: Readonly<Record<string, unknown>>;
  url?: string;
}

export async function openBench(
  options: SurroundingsOptions & { instance?: FakeServiceNowOptions; gathering?: GatherTimes } = {},
): Promise<Bench> {
  const { clock, gathering = clock && ALONE } = options;
  const instance = await startFakeServiceNow({
    ...(clock === undefined ? {} : { clock }),
    ...options.instance,
  });
  const around = surroundings(options);
  const connector = servicenowConnector(around.deps, gathering && { gathering });
  const tasks = namedTasks(connector);
  const inputOf = (auth: AuthInput, run: RunOptions): { connector: Record<string, unknown> } => ({
    connector: connectorTo(run.url ?? instance.url, auth, run.connector),
  });
  const contextOf = (run: RunOptions): TaskContext =>
    run.context ?? taskContext(clock === undefined ? {} : { clock });

  return {
    instance,
    surroundings: around,
    tasks,
    asUser(userName) {
      around.secrets.set(`password-of-${userName}`, PASSWORDS[userName]);
      return {
        type: 'UsernamePassword',
        spec: { username: userName, passwordRef: `test:password-of-${userName}` },
      };
    },
    byRefreshToken(more = {}) {
      around.secrets.set('client-id', OAUTH.clientId);
      around.secrets.set('client-secret', OAUTH.clientSecret);
      around.secrets.set('refresh-token', OAUTH.refreshToken);
      return {
        type: 'RefreshTokenGrantType',
        spec: {
          clientIdRef: 'test:client-id',
          clientSecretRef: 'test:client-secret',
          refreshTokenRef: 'test:refresh-token',
          tokenUrl: `${instance.url}/oauth_token.do`,
          ...more,
        },
      };
    },
    validate: async (auth, run = {}) =>
      readReport(await tasks.validate.prepare(inputOf(auth, run)).run(contextOf(run))),
    check: async (auth, question, run = {}) =>
      answerSchema.parse(
        await tasks.check.prepare({ ...inputOf(auth, run), ...question }).run(contextOf(run)),
      ),
    outcome: async (task, input, context = taskContext()) =>
      await runPrepared(task.prepare(input), context, {
        effect: task.effect,
        stopReason: () => undefined,
        redactor: around.redactor,
      }),
    async [Symbol.asyncDispose]() {
      await connector[Symbol.asyncDispose]?.();
      await around.close();
      await instance.close();
    },
  };
}

export function tasksOf(deps: ConnectorDeps): Bench['tasks'] {
  return namedTasks(servicenowConnector(deps));
}

function namedTasks({ tasks }: Connector): Bench['tasks'] {
  const named = (name: string): TaskType => {
    const task = tasks.find((candidate) => candidate.name === name);
    if (task === undefined) throw new Error(`the connector has no task ${name}`);
    return task;
  };
  return { validate: named('servicenow.connector.validate'), check: named('servicenow.approval.check') };
}

// --- other servers --------------------------------------------------------------------------------------------

/** The client of AD FS, and the identifier under which AD FS knows ServiceNow. */
export const ADFS_CLIENT = 'client-4711-of-the-delegate';
export const ADFS_RESOURCE = 'urn:servicenow:resource-of-the-test';

/** Registers the client with AD FS, and AD FS with the instance; its tokens stand for `svc_deploy`. */
export function joinAdfs(bench: Bench, adfs: FakeAdfs, own: DevelopmentCertificate): AuthInput {
  adfs.registerClient({
    clientId: ADFS_CLIENT,
    certificatePem: own.certificatePem,
    permissions: [ADFS_RESOURCE],
    tokenClaims: { upn: 'svc_deploy' },
  });
  bench.instance.issuers.trust({
    issuer: adfs.issuer,
    jwks: `${adfs.url}/adfs/discovery/keys`,
    audience: ADFS_RESOURCE,
    userClaim: 'upn',
    userField: 'user_name',
  });
  bench.surroundings.secrets
    .set('resource-id', ADFS_RESOURCE)
    .set('adfs-client-id', ADFS_CLIENT)
    .set('certificate', own.certificatePem)
    .set('private-key', own.pkcs8Pem);
  return {
    type: 'AdfsClientCredentialsWithCertificate',
    spec: {
      resourceIdRef: 'test:resource-id',
      clientIdRef: 'test:adfs-client-id',
      certificateRef: 'test:certificate',
      privateKeyRef: 'test:private-key',
      adfsUrl: adfs.url,
    },
  };
}

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/** Has the instance take the provider's id tokens, and the store hold a refresh token of its own. */
export async function joinOidcProvider(bench: Bench, provider: OidcProvider): Promise<AuthInput> {
  // Fetched here, since a provider that wants Basic wants it for its keys as well.
  const jwks = await fetch(`${provider.issuer}/jwks`, { headers: { authorization: 'Basic Og==' } });
  bench.instance.issuers.trust({
    issuer: provider.issuer,
    jwks: keySet.parse(await jwks.json()),
    audience: provider.clientId,
    userClaim: 'sub',
    userField: 'user_name',
  });
  const auth = bench.byRefreshToken({ tokenUrl: provider.tokenEndpoint.href, tokenType: 'id_token' });
  bench.surroundings.secrets
    .set('client-id', provider.clientId)
    .set('client-secret', provider.clientSecret)
    .set('refresh-token', await provider.issueRefreshToken());
  return auth;
}

interface Listening extends AsyncDisposable {
  /** Origin, without a trailing slash. */
  readonly url: string;
}

/** Any other HTTP server, for as long as it is in scope. */
export async function listen(handle: RequestListener): Promise<Listening> {
  const server = createServer(handle);
  return {
    url: `http://127.0.0.1:${await listenOnLoopback(server)}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

// --- evidence -------------------------------------------------------------------------------------------------

/** Requests that the instance saw for its Table API. */
export function tableCalls(instance: FakeServiceNow): JournalEntry[] {
  return instance.journal().filter(({ path }) => path.includes('/api/now/table/'));
}

/** Requests that the instance saw for a token. */
export function tokenCalls(instance: FakeServiceNow): JournalEntry[] {
  return instance.journal().filter(({ path }) => path.startsWith('/oauth_token.do'));
}

export function formOf({ body }: Pick<JournalEntry, 'body'>): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body));
}

/** What the work rejects with, which must be a coded error. */
export async function failureOf(work: () => unknown): Promise<DelegateError> {
  try {
    await work();
  } catch (thrown) {
    expect(thrown).to.be.instanceOf(DelegateError);
    if (thrown instanceof DelegateError) return thrown;
  }
  throw new Error('nothing failed');
}

/** The checks of a report in order, each as `id status`. */
export function steps({ checks }: Report): string[] {
  return checks.map(({ id, status }) => `${id} ${status}`);
}
