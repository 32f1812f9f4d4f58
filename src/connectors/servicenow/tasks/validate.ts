import { z } from 'zod';
import { DelegateError } from '../../../kit/errors.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { certificateFacts } from '../../../oauth/key-material.ts';
import { jwtFacts } from '../../../oauth/jwt-facts.ts';
import { wireErrorSchema } from '../../../protocol/messages.ts';
import { defineTask, type ConnectionFacts, type TaskContext, type TaskType } from '../../connector.ts';
import { authMethod } from '../auth/index.ts';
import type { Authentication, ResolvedSecrets } from '../auth/method.ts';
import type { TableAnswer } from '../client.ts';
import {
  assertConnectorAllowed,
  clientFor,
  resolveSecrets,
  settingsWarnings,
  type ServiceNowRuntime,
} from '../runtime.ts';
import { connectorSchema, type ConnectorSettings } from '../schema.ts';
import { CheckList } from './check-list.ts';

/** A clock that is further off than this is worth a warning: tokens are judged by it. */
const MAX_SKEW_MS = 30_000;

const checkSchema = z.object({
  id: z.enum(['secrets', 'key-material', 'network', 'token', 'api', 'access', 'clock']),
  title: z.string(),
  status: z.enum(['passed', 'failed', 'warned', 'skipped']),
  durationMs: z.number().int(),
  detail: z.string().optional(),
});

const outputSchema = z.object({
  status: z.enum(['SUCCESS', 'FAILURE']),
  /** One sentence to act on; absent on success. */
  errorSummary: z.string().optional(),
  errors: z.array(wireErrorSchema),
  warnings: z.array(wireErrorSchema),
  checks: z.array(checkSchema),
  testedAt: z.string(),
  delegate: z.object({ id: z.string(), name: z.string(), version: z.string() }),
});

/**
 * Tests a connector the way it will be used, and says at which step it fails. A connection that fails is a task
 * that succeeded; the task fails only if the test itself could not be made. Reads only.
 */
export function validateConnector(runtime: ServiceNowRuntime): TaskType {
  return defineTask({
    name: 'servicenow.connector.validate',
    version: 1,
    effect: 'reads',
    input: z.object({ connector: connectorSchema }),
    output: outputSchema,
    authorize: ({ connector }) => assertConnectorAllowed(connector, runtime.deps),
    async run({ connector }, context) {
      const { deps } = runtime;
      const list = new CheckList(context);
      for (const warning of settingsWarnings(connector)) list.warn(warning);
      await check(connector, runtime, list, context);
      const summary = list.errors[0];
      return {
        status: summary === undefined ? ('SUCCESS' as const) : ('FAILURE' as const),
        ...(summary === undefined ? {} : { errorSummary: summary.message }),
        errors: list.errors,
        warnings: list.warnings,
        checks: list.checks,
        testedAt: toTimestamp(context.clock.now()),
        delegate: { id: deps.delegate.id(), name: deps.delegate.name, version: deps.delegate.version },
      };
    },
  });
}

/** The checks in order. Each gets what the ones before it found, and is skipped if they found nothing. */
async function check(
  connector: ConnectorSettings,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<void> {
  const method = authMethod(connector.spec.auth);

  const secrets = await list.run('secrets', 'Secrets resolve', async () => {
    const resolved = await resolveSecrets(method, runtime.deps, context.signal);
    return { value: resolved, detail: `${resolved.size} of ${method.secretFields.length}` };
  });
  const authentication = secrets && open(method, secrets, runtime);
  const keyUsable = await checkKeyMaterial(authentication, list);
  const reachable = await checkNetwork(connector, authentication, runtime, list, context);

  const ready = keyUsable && reachable ? authentication : undefined;
  const token = await checkToken(connector, ready, list, context);
  const answer = await checkApi(connector, token ? ready : undefined, runtime, list, context);
  await checkAccess(answer, list);
  await checkClock(answer, list);
  if (answer !== undefined) for (const warning of authentication?.warnings() ?? []) list.warn(warning);
}

function open(
  method: ReturnType<typeof authMethod>,
  secrets: ResolvedSecrets,
  runtime: ServiceNowRuntime,
): Authentication {
  return method.open(secrets, runtime.auth);
}

/** True if there is nothing to check as well. */
async function checkKeyMaterial(
  authentication: Authentication | undefined,
  list: CheckList,
): Promise<boolean> {
  const read = authentication?.keyMaterial;
  if (read === undefined) return authentication !== undefined;
  const material = await list.run('key-material', 'Key and certificate fit', () => {
    const keyMaterial = read();
    const { subject, notAfter } = certificateFacts(keyMaterial.leaf);
    return Promise.resolve({
      value: keyMaterial,
      detail: `${subject}, valid until ${notAfter.slice(0, 10)}`,
    });
  });
  return material !== undefined;
}

/** ServiceNow and the token server, each over the connection that the real call will use. */
async function checkNetwork(
  connector: ConnectorSettings,
  authentication: Authentication | undefined,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<boolean> {
  const instance = new URL(connector.spec.serviceNowUrl.baseUrl);
  const tokenEndpoint = authentication?.tokenEndpoint;
  const targets = tokenEndpoint === undefined ? [instance] : [instance, tokenEndpoint];
  const reached = await list.run('network', 'Hosts can be reached', async () => {
    const seen: string[] = [];
    for (const url of targets) {
      const facts = await runtime.deps.http.probe(url, context.signal);
      seen.push(describeConnection(url, facts));
    }
    return { value: true, detail: seen.join('; ') };
  });
  return reached === true;
}

function describeConnection(url: URL, { address, tls }: ConnectionFacts): string {
  if (tls === undefined) return `${url.host} at ${address}, no TLS`;
  const { protocol, subject, issuer, validTo } = tls;
  return `${url.host} at ${address}, ${protocol}, certificate of ${subject} by ${issuer} until ${validTo.slice(0, 10)}`;
}

/** True if a request can be authorised. Basic authentication exchanges nothing, so there is no such check. */
async function checkToken(
  connector: ConnectorSettings,
  authentication: Authentication | undefined,
  list: CheckList,
  context: TaskContext,
): Promise<boolean> {
  if (connector.spec.auth.type === 'UsernamePassword') return authentication !== undefined;
  if (authentication === undefined) {
    list.skip('token', 'Token is issued');
    return false;
  }
  const issued = await list.run('token', 'Token is issued', async () => {
    const { bearer } = await authentication.authorize(context.signal);
    return { value: true, detail: describeToken(bearer && jwtFacts(bearer)) };
  });
  return issued === true;
}

/** What the token says of itself: what a person compares with the OIDC entity when ServiceNow refuses it. */
function describeToken(facts: ReturnType<typeof jwtFacts>): string {
  if (facts === undefined) return 'opaque token';
  const claims = Object.entries(facts.userClaims).map(([name, value]) => `${name} ${value}`);
  return [
    `iss ${facts.issuer ?? 'none'}`,
    `aud ${facts.audience.join(' ') || 'none'}`,
    `exp ${facts.expiresAt ?? 'none'}`,
    ...claims,
  ].join(', ');
}

async function checkApi(
  connector: ConnectorSettings,
  authentication: Authentication | undefined,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<TableAnswer | undefined> {
  if (authentication === undefined) {
    list.skip('api', 'Table API answers');
    return undefined;
  }
  return await list.run('api', 'Table API answers', async () => {
    const client = clientFor(connector, authentication, runtime);
    const answer = await client.readTable({ table: 'task', params: { sysparm_limit: '1' } }, context);
    return { value: answer, detail: `HTTP ${answer.response.status}` };
  });
}

async function checkAccess(answer: TableAnswer | undefined, list: CheckList): Promise<void> {
  if (answer === undefined) {
    list.skip('access', 'User sees tasks');
    return;
  }
  await list.run('access', 'User sees tasks', () => {
    const visible = answer.rows.some((row) => Object.keys(row).length > 0);
    return Promise.resolve(visible ? { value: true } : { value: false, warning: seesNothing() });
  });
}

function seesNothing(): DelegateError {
  return new DelegateError('servicenow.no-visible-tasks', 'The user is accepted but sees no tasks.', {
    category: 'permission',
    hint: 'Give the user the roles for what it shall read, usually itil, or sn_change_read, sn_incident_read and sn_problem_read.',
  });
}

async function checkClock(answer: TableAnswer | undefined, list: CheckList): Promise<void> {
  const served = Date.parse(answer?.response.headers['date'] ?? '');
  if (answer === undefined || Number.isNaN(served)) {
    list.skip('clock', 'Clocks agree');
    return;
  }
  await list.run('clock', 'Clocks agree', () => {
    // `Date` has whole seconds and was set somewhere between sending and receiving.
    const ahead = answer.sentAt - (served + 1_000);
    const behind = served - answer.receivedAt;
    const skewMs = Math.max(ahead, behind, 0);
    const detail = skewMs === 0 ? 'no difference' : `${Math.round(skewMs / 1_000)} s apart`;
    if (skewMs <= MAX_SKEW_MS) return Promise.resolve({ value: true, detail });
    return Promise.resolve({ value: true, detail, warning: clockSkewed(skewMs, ahead > behind) });
  });
}

function clockSkewed(skewMs: number, ahead: boolean): DelegateError {
  const seconds = Math.round(skewMs / 1_000);
  return new DelegateError(
    'servicenow.clock-skew',
    `The clock of this delegate is ${seconds} s ${ahead ? 'ahead of' : 'behind'} ServiceNow's.`,
    {
      category: 'unavailable',
      hint: 'Synchronise it (NTP): tokens and change windows are judged by the time.',
      details: { skewMs: Math.round(skewMs) },
    },
  );
}
