import { DelegateError } from '../../kit/errors.ts';
import { TokenSource } from '../../oauth/token-source.ts';
import type { ConnectorDeps, TaskContext } from '../connector.ts';
import { authMethod, type BoundAuth } from './auth/index.ts';
import type { Authentication, AuthDeps, ResolvedSecrets, SecretField } from './auth/method.ts';
import { refreshTokensInMemory } from './auth/refresh-tokens.ts';
import { InstanceGates, ServiceNowClient } from './client.ts';
import type { ConnectorSettings } from './schema.ts';

/** What the connector's tasks share for the life of the delegate: tokens, and the queues to each instance. */
export interface ServiceNowRuntime {
  readonly deps: ConnectorDeps;
  readonly gates: InstanceGates;
  readonly auth: Omit<AuthDeps, 'connector'>;
}

export function createRuntime(deps: ConnectorDeps): ServiceNowRuntime {
  return {
    deps,
    gates: new InstanceGates(),
    auth: {
      send: deps.http.send,
      clock: deps.clock,
      tokens: new TokenSource({ clock: deps.clock }),
      refreshTokens: refreshTokensInMemory(),
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

export async function resolveSecrets(
  auth: BoundAuth,
  deps: ConnectorDeps,
  signal: AbortSignal,
): Promise<ResolvedSecrets> {
  const entries = await Promise.all(
    auth.secretFields.map(async (field) => [field.field, await resolveOne(field, deps, signal)] as const),
  );
  return new Map(entries);
}

/** The resolver knows the reference; only here is it known which field it stood in. */
async function resolveOne(
  { field, reference }: SecretField,
  deps: ConnectorDeps,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<ConnectorDeps['secrets']['resolve']>>> {
  try {
    return await deps.secrets.resolve(reference, signal);
  } catch (thrown) {
    if (!(thrown instanceof DelegateError)) throw thrown;
    throw new DelegateError(thrown.code, `auth.spec.${field}: ${thrown.message}`, {
      category: thrown.category,
      retryable: thrown.retryable,
      hint: thrown.hint,
      details: { ...thrown.details, field: `auth.spec.${field}` },
      cause: thrown,
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
  // The identifier alone would not do: two projects of the manager may have a connector of the same one.
  const owner = `${connector.identifier} ${connector.spec.serviceNowUrl.baseUrl}`;
  return authMethod(connector.spec.auth).open(secrets, { ...auth, connector: owner });
}

export function clientFor(
  connector: ConnectorSettings,
  auth: Authentication,
  { deps, gates }: ServiceNowRuntime,
): ServiceNowClient {
  return new ServiceNowClient({
    baseUrl: connector.spec.serviceNowUrl.baseUrl,
    auth,
    send: deps.http.send,
    scrub: deps.scrub,
    gates,
    random: deps.random,
  });
}

/** What was left away of the connector's own settings, as a warning for its owner. */
export function settingsWarnings(connector: ConnectorSettings): DelegateError[] {
  const { warning } = connector.spec.serviceNowUrl;
  if (warning === undefined) return [];
  return [
    new DelegateError('servicenow.url-shortened', `serviceNowUrl: ${warning}`, {
      category: 'invalid-input',
      hint: 'Enter the address of the instance alone.',
    }),
  ];
}
