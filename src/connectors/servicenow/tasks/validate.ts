import { z } from 'zod';
import { DelegateError, type WireError } from '../../../kit/errors.ts';
import { boundedWords } from '../../../kit/text.ts';
import type { ConnectionFacts } from '../../../kit/http-exchange.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { certificateFacts } from '../../../oauth/key-material.ts';
import { jwtFacts } from '../../../oauth/jwt-facts.ts';
import { wireErrorSchema } from '../../../protocol/messages.ts';
import { defineTask, type TaskContext, type TaskType } from '../../connector.ts';
import { authMethod, type BoundAuth } from '../auth/index.ts';
import type { Authentication } from '../auth/method.ts';
import type { ServiceNowClient, TableAnswer } from '../client.ts';
import {
  assertConnectorAllowed,
  clientFor,
  openAuthentication,
  resolveSecrets,
  settingsWarnings,
  type ServiceNowRuntime,
} from '../runtime.ts';
import { connectorSchema, type ConnectorSettings } from '../schema.ts';
import { CheckList } from './check-list.ts';

/** A clock that is further off than this is worth a warning: tokens are judged by it. */
const MAX_SKEW_MS = 30_000;
/** Keeps the summary under 1,000 characters, its ellipsis included. */
const MAX_SUMMARY_CHARS = 990;
/** Tasks among which one must be visible, so that the user counts as one who sees tasks. */
const WIDER_LOOK_ROWS = 100;

const checkSchema = z.object({
  id: z.enum(['secrets', 'key-material', 'network', 'token', 'api', 'access', 'clock']),
  title: z.string(),
  status: z.enum(['passed', 'failed', 'warned', 'skipped']),
  durationMs: z.number().int(),
  detail: z.string().optional(),
});

const outputSchema = z.object({
  status: z.enum(['SUCCESS', 'FAILURE']),
  /** The first error and its remedy in one line; absent on success. */
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
        ...(summary === undefined ? {} : { errorSummary: summaryOf(summary, deps.scrub) }),
        errors: list.errors,
        warnings: list.warnings,
        checks: list.checks,
        testedAt: toTimestamp(context.clock.now()),
        delegate: { id: deps.delegate.id(), name: deps.delegate.name, version: deps.delegate.version },
      };
    },
  });
}

function summaryOf({ message, hint }: WireError, scrub: (text: string) => string): string {
  const line = hint === undefined ? message : `${message} ${hint}`;
  return boundedWords(scrub(line), MAX_SUMMARY_CHARS) ?? message;
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
  const opened = secrets && openAuthentication(connector, secrets, runtime);
  const keyed = await checkKeyMaterial(method, opened, list);
  const reachable = await checkNetwork(connector, method, runtime, list, context);
  const authentication = await checkToken(method, reachable ? keyed : undefined, runtime, list, context);
  const client = authentication && clientFor(connector, authentication, runtime);
  const answer = await checkApi(client, list, context);
  await checkAccess(client, answer, list, context);
  await checkClock(answer, list);
  for (const warning of keyed?.warnings() ?? []) list.warn(warning);
}

/** The authentication again, if its key can be used or it has none. */
async function checkKeyMaterial(
  method: BoundAuth,
  authentication: Authentication | undefined,
  list: CheckList,
): Promise<Authentication | undefined> {
  if (!method.signsWithKey) return authentication;
  const title = 'Key and certificate fit';
  const read = authentication?.keyMaterial;
  if (read === undefined) {
    list.skip('key-material', title);
    return undefined;
  }
  return await list.run('key-material', title, () => {
    const { subject, notAfter } = certificateFacts(read().leaf);
    const [warning] = authentication?.warnings() ?? [];
    const detail = `${subject}, valid until ${notAfter.slice(0, 10)}`;
    return Promise.resolve({ value: authentication, detail, warning });
  });
}

/** ServiceNow and the token server, each over the connection that the real call will use. It needs no secrets. */
async function checkNetwork(
  connector: ConnectorSettings,
  { tokenEndpoint }: BoundAuth,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<boolean> {
  const instance = new URL(connector.spec.serviceNowUrl.baseUrl);
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

/** The authentication again, if it can authorise a request. Without a token server there is no such check. */
async function checkToken(
  { tokenEndpoint }: BoundAuth,
  authentication: Authentication | undefined,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<Authentication | undefined> {
  if (tokenEndpoint === undefined) return authentication;
  if (authentication === undefined) {
    list.skip('token', 'Token is issued');
    return undefined;
  }
  return await list.run('token', 'Token is issued', async () => {
    const { bearer } = await authentication.authorize(context.signal);
    return { value: authentication, detail: describeToken(bearer && jwtFacts(bearer, runtime.deps.scrub)) };
  });
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
  client: ServiceNowClient | undefined,
  list: CheckList,
  context: TaskContext,
): Promise<TableAnswer | undefined> {
  if (client === undefined) {
    list.skip('api', 'Table API answers');
    return undefined;
  }
  return await list.run('api', 'Table API answers', async () => {
    const answer = await client.readTable({ table: 'task', maxRows: 1, params: {} }, context);
    return { value: answer, detail: `HTTP ${answer.response.status}` };
  });
}

async function checkAccess(
  client: ServiceNowClient | undefined,
  answer: TableAnswer | undefined,
  list: CheckList,
  context: TaskContext,
): Promise<void> {
  if (client === undefined || answer === undefined) {
    list.skip('access', 'User sees tasks');
    return;
  }
  await list.run('access', 'User sees tasks', async () => {
    const visible = showsTask(answer) || showsTask(await widerLook(client, context));
    return visible ? { value: true } : { value: false, warning: seesNothing() };
  });
}

/**
 * ServiceNow cuts the page before it looks at the rights, so that a user who may read changes alone gets an empty
 * page whenever the first task is an incident.
 */
function widerLook(client: ServiceNowClient, context: TaskContext): Promise<TableAnswer> {
  const params = { sysparm_fields: 'sys_id' };
  return client.readTable({ table: 'task', maxRows: WIDER_LOOK_ROWS, params }, context);
}

function showsTask({ rows }: TableAnswer): boolean {
  return rows.some((row) => Object.keys(row).length > 0);
}

function seesNothing(): DelegateError {
  return new DelegateError(
    'servicenow.no-visible-tasks',
    `The user is accepted, but sees none of the first ${WIDER_LOOK_ROWS} tasks.`,
    {
      category: 'permission',
      hint: 'Give the user the roles for what it shall read, usually itil, or sn_change_read, sn_incident_read and sn_problem_read.',
    },
  );
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
