import { DelegateError, errorsOf, type ErrorKinds } from '../../kit/errors.ts';
import type { Secret } from '../../kit/secret.ts';
import type { TokenReceiver } from '../../oauth/token-response.ts';
import { TokenSource } from '../../oauth/token-source.ts';
import type { ConnectorDeps, SecretNeed, TaskContext } from '../connector.ts';
import { meteredSend } from '../metering.ts';
import { authMethod } from './auth/index.ts';
import type { Authentication, AuthDeps, ResolvedSecrets } from './auth/method.ts';
import { createRefreshTokens } from './auth/refresh-tokens.ts';
import { ServiceNowClient } from './client.ts';
import { CredentialGuard } from './credential-guard.ts';
import { Instances } from './instance.ts';
import type { ConnectorSettings } from './schema.ts';
import { ReadableFields } from './tickets/readable-fields.ts';
import { GATHER_TIMES, TicketReader, type GatherTimes } from './tickets/ticket-reader.ts';

/** What the connector's tasks share for the life of the delegate. */
export interface ServiceNowRuntime {
  readonly deps: ConnectorDeps;
  readonly instances: Instances;
  readonly guard: CredentialGuard;
  readonly tickets: TicketReader;
  readonly readableFields: ReadableFields;
  readonly auth: Omit<AuthDeps, 'connector' | 'protect'>;
}

export interface RuntimeOptions {
  /** How long looks at tickets wait for others to share a request with; `GATHER_TIMES` unless given. */
  readonly gathering?: GatherTimes;
}

export function createRuntime(deps: ConnectorDeps, options: RuntimeOptions): ServiceNowRuntime {
  const { clock, random } = deps;
  return {
    deps,
    instances: new Instances({ clock, random }),
    guard: new CredentialGuard(clock),
    tickets: new TicketReader(clock, options.gathering ?? GATHER_TIMES),
    readableFields: new ReadableFields(clock),
    auth: {
      send: deps.http.send,
      meter: deps.meter,
      clock: deps.clock,
      tokens: new TokenSource({ clock, random }),
      refreshTokens: createRefreshTokens({ clock, secrets: deps.secrets, kept: deps.kept }),
      scrub: deps.scrub,
    },
  };
}

/** The rules that allow this; throws a `policy` error before any secret of the connector is touched. */
export function authorizeConnector(
  { spec: { serviceNowUrl, auth } }: ConnectorSettings,
  task: { readonly name: string; readonly tables: readonly string[] },
  { policy }: ConnectorDeps,
): readonly string[] {
  return policy.authorize({
    task: task.name,
    tables: task.tables,
    instance: new URL(serviceNowUrl.baseUrl),
    instanceField: 'connector.spec.serviceNowUrl',
    tokenServer: authMethod(auth).tokenEndpoint,
    tokenServerField: `connector.spec.auth.spec.${auth.type === 'RefreshTokenGrantType' ? 'tokenUrl' : 'adfsUrl'}`,
  });
}

/** The origins that stand for who may receive what of this connector. */
function originsOf({ spec }: ConnectorSettings, receivers: readonly TokenReceiver[]): string[] {
  const { tokenEndpoint } = authMethod(spec.auth);
  const instance = new URL(spec.serviceNowUrl.baseUrl);
  const origins = receivers.flatMap((receiver) => {
    const url = receiver === 'resource-server' ? instance : tokenEndpoint;
    return url === undefined ? [] : [url.origin];
  });
  // One, where ServiceNow is its own token server.
  return [...new Set(origins)];
}

/** The secrets that the settings name, and where each of them would go. */
export function secretNeeds(connector: ConnectorSettings): (SecretNeed & { readonly setting: string })[] {
  return authMethod(connector.spec.auth).secretFields.map(({ field, reference, goesTo }) => ({
    setting: field,
    field: `auth.spec.${field}`,
    reference,
    origins: originsOf(connector, goesTo),
  }));
}

/** The secrets of an authentication; rejects as soon as one is not to be had. */
async function resolveSecrets(
  connector: ConnectorSettings,
  deps: ConnectorDeps,
  context: TaskContext,
): Promise<ResolvedSecrets> {
  const entries = await Promise.all(
    secretNeeds(connector).map(
      async (need) => [need.setting, await resolveOne(need, deps, context)] as const,
    ),
  );
  return new Map(entries);
}

/** The secrets that are to be had, and why each of the others is not: for whoever has to set them right. */
export async function findSecrets(
  connector: ConnectorSettings,
  deps: ConnectorDeps,
  context: TaskContext,
): Promise<{ secrets: ResolvedSecrets; failures: readonly unknown[] }> {
  const outcomes = await Promise.allSettled(
    secretNeeds(connector).map(
      async (need) => [need.setting, await resolveOne(need, deps, context)] as const,
    ),
  );
  return {
    secrets: new Map(outcomes.flatMap((found) => (found.status === 'fulfilled' ? [found.value] : []))),
    failures: outcomes.flatMap((missed): unknown[] => (missed.status === 'rejected' ? [missed.reason] : [])),
  };
}

/** The resolver knows the reference; only here is it known which field it stood in. */
async function resolveOne(
  { field, reference, origins }: SecretNeed,
  deps: ConnectorDeps,
  context: TaskContext,
): Promise<Secret> {
  try {
    return await context.trace.during('secret.resolve', () =>
      deps.secrets.resolve(reference, {
        signal: context.signal,
        origins,
        onUse: (name) => context.usedSecret(name, origins),
      }),
    );
  } catch (thrown) {
    if (!(thrown instanceof DelegateError)) throw thrown;
    throw thrown.retold({
      message: `${field}: ${thrown.message}`,
      details: { field },
    });
  }
}

/**
 * The runtime for the work of one task: its requests are steps of its trace. A request that several tasks share is a
 * step of the one that began it, because a span has one parent; links to a hundred others would be of little use, and
 * make each span as large as the batch.
 */
export function runtimeWithin({ trace }: TaskContext, runtime: ServiceNowRuntime): ServiceNowRuntime {
  const { deps, auth } = runtime;
  return {
    ...runtime,
    deps: {
      ...deps,
      http: {
        send: trace.sending('servicenow.request', deps.http.send),
        probe: (url, signal) => deps.http.probe(url, signal),
      },
    },
    auth: { ...auth, send: trace.sending('token.request', auth.send) },
  };
}

/** A client for one task, with fresh secrets: a password changed in the secret store counts from the next task on. */
export async function openClient(
  connector: ConnectorSettings,
  runtime: ServiceNowRuntime,
  context: TaskContext,
): Promise<{ client: ServiceNowClient; authentication: Authentication }> {
  const secrets = await resolveSecrets(connector, runtime.deps, context);
  const traced = runtimeWithin(context, runtime);
  const authentication = openAuthentication(connector, secrets, traced);
  return { client: clientFor(connector, authentication, traced), authentication };
}

export function openAuthentication(
  connector: ConnectorSettings,
  secrets: ResolvedSecrets,
  { auth, deps }: ServiceNowRuntime,
): Authentication {
  return authMethod(connector.spec.auth).open(secrets, {
    ...auth,
    protect: (value, goesTo) => deps.protect(value, originsOf(connector, [goesTo])),
    connector: ownerOf(connector),
  });
}

/**
 * Tokens belong to one connector; its identifier alone would not do, since two projects of the manager may have a
 * connector of the same one. A user and password belong to the account: were they asked about for each connector
 * anew, five that share an outdated password would lock it (KB0749501).
 */
function ownerOf({ identifier, spec: { auth, serviceNowUrl } }: ConnectorSettings): string {
  const { baseUrl } = serviceNowUrl;
  return auth.type === 'UsernamePassword' ? baseUrl : `${identifier} ${baseUrl}`;
}

export function clientFor(
  connector: ConnectorSettings,
  auth: Authentication,
  { deps, instances, guard }: ServiceNowRuntime,
): ServiceNowClient {
  return new ServiceNowClient({
    baseUrl: connector.spec.serviceNowUrl.baseUrl,
    auth,
    send: meteredSend(deps.http.send, deps),
    scrub: deps.scrub,
    instances,
    guard,
    random: deps.random,
    maxRows: deps.policy.maxRows,
  });
}

export const SETTINGS_ERRORS = {
  'servicenow.url-shortened': {
    category: 'invalid-input',
    means:
      'The serviceNowUrl of the connector is the address of a page. A part of it was left away, and what remains is used.',
    remedy: 'Enter the address of the instance alone.',
  },
} as const satisfies ErrorKinds;

const settingsError = errorsOf(SETTINGS_ERRORS);

/** What was left away of the connector's own settings, as a warning for its owner. */
export function settingsWarnings(connector: ConnectorSettings): DelegateError[] {
  const { warning } = connector.spec.serviceNowUrl;
  return warning === undefined
    ? []
    : [settingsError('servicenow.url-shortened', `serviceNowUrl: ${warning}`)];
}
