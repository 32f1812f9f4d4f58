import { DelegateError, errorsOf, type ErrorKinds } from '../../kit/errors.ts';
import type { Secret } from '../../kit/secret.ts';
import { TokenSource } from '../../oauth/token-source.ts';
import type { ConnectorDeps, TaskContext } from '../connector.ts';
import { authMethod, type BoundAuth } from './auth/index.ts';
import type { Authentication, AuthDeps, ResolvedSecrets, SecretField } from './auth/method.ts';
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
  readonly auth: Omit<AuthDeps, 'connector'>;
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
      clock: deps.clock,
      tokens: new TokenSource({ clock, random }),
      refreshTokens: createRefreshTokens({ clock, secrets: deps.secrets, kept: deps.kept }),
      protect: deps.protect,
      scrub: deps.scrub,
    },
  };
}

/** Refuses a connector whose addresses this delegate may not call, before any secret of it is touched. */
export function assertConnectorAllowed(connector: ConnectorSettings, deps: ConnectorDeps): void {
  const { serviceNowUrl, auth } = connector.spec;
  deps.assertAllowed(new URL(serviceNowUrl.baseUrl), 'connector.spec.serviceNowUrl');
  if (auth.type === 'AdfsClientCredentialsWithCertificate') {
    deps.assertAllowed(auth.spec.adfsUrl, 'connector.spec.auth.spec.adfsUrl');
  }
  if (auth.type === 'RefreshTokenGrantType') {
    deps.assertAllowed(auth.spec.tokenUrl, 'connector.spec.auth.spec.tokenUrl');
  }
}

/** The secrets of an authentication; rejects as soon as one is not to be had. */
async function resolveSecrets(
  auth: BoundAuth,
  deps: ConnectorDeps,
  signal: AbortSignal,
): Promise<ResolvedSecrets> {
  const entries = await Promise.all(
    auth.secretFields.map(async (field) => [field.field, await resolveOne(field, deps, signal)] as const),
  );
  return new Map(entries);
}

/** The secrets that are to be had, and why each of the others is not: for whoever has to set them right. */
export async function findSecrets(
  auth: BoundAuth,
  deps: ConnectorDeps,
  signal: AbortSignal,
): Promise<{ secrets: ResolvedSecrets; failures: readonly unknown[] }> {
  const outcomes = await Promise.allSettled(
    auth.secretFields.map(async (field) => [field.field, await resolveOne(field, deps, signal)] as const),
  );
  return {
    secrets: new Map(outcomes.flatMap((found) => (found.status === 'fulfilled' ? [found.value] : []))),
    failures: outcomes.flatMap((missed): unknown[] => (missed.status === 'rejected' ? [missed.reason] : [])),
  };
}

/** The resolver knows the reference; only here is it known which field it stood in. */
async function resolveOne(
  { field, reference }: SecretField,
  deps: ConnectorDeps,
  signal: AbortSignal,
): Promise<Secret> {
  try {
    return await deps.secrets.resolve(reference, signal);
  } catch (thrown) {
    if (!(thrown instanceof DelegateError)) throw thrown;
    throw thrown.retold({
      message: `auth.spec.${field}: ${thrown.message}`,
      details: { field: `auth.spec.${field}` },
    });
  }
}

/** A client for one task, with fresh secrets: a password changed in the secret store counts from the next task on. */
export async function openClient(
  connector: ConnectorSettings,
  runtime: ServiceNowRuntime,
  context: TaskContext,
): Promise<{ client: ServiceNowClient; authentication: Authentication }> {
  const secrets = await resolveSecrets(authMethod(connector.spec.auth), runtime.deps, context.signal);
  const authentication = openAuthentication(connector, secrets, runtime);
  return { client: clientFor(connector, authentication, runtime), authentication };
}

export function openAuthentication(
  connector: ConnectorSettings,
  secrets: ResolvedSecrets,
  { auth }: ServiceNowRuntime,
): Authentication {
  return authMethod(connector.spec.auth).open(secrets, { ...auth, connector: ownerOf(connector) });
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
    send: deps.http.send,
    scrub: deps.scrub,
    instances,
    guard,
    random: deps.random,
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
