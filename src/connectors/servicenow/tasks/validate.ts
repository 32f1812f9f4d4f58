import { z } from 'zod';
import type { HttpSend } from '../../../kit/http-exchange.ts';
import { toTimestamp } from '../../../kit/time.ts';
import { wireErrorSchema } from '../../../protocol/messages.ts';
import { defineTask, type TaskContext, type TaskType } from '../../connector.ts';
import { authMethod } from '../auth/index.ts';
import {
  authorizeConnector,
  clientFor,
  openAuthentication,
  runtimeWithin,
  secretNeeds,
  settingsWarnings,
  type ServiceNowRuntime,
} from '../runtime.ts';
import { connectorSchema, type ConnectorSettings } from '../schema.ts';
import { checkAccess } from '../validation/access.ts';
import { checkApi } from '../validation/api.ts';
import { CHECK_IDS, CheckList } from '../validation/check-list.ts';
import { checkClock, suspectClock, witnessClocks, type TimedServer } from '../validation/clock.ts';
import { checkNetwork } from '../validation/network.ts';
import { checkKeyMaterial, checkSecrets } from '../validation/secrets.ts';
import { summaryOf, type Suspicion } from '../validation/summary.ts';
import { checkToken } from '../validation/token.ts';

export const VALIDATE_CONNECTOR = 'servicenow.connector.validate';

const checkSchema = z.object({
  id: z.enum(CHECK_IDS),
  title: z.string(),
  status: z.enum(['passed', 'failed', 'warned', 'skipped']),
  durationMs: z.number().int(),
  detail: z.string().optional(),
});

export const validationAnswerSchema = z.object({
  status: z.enum(['SUCCESS', 'FAILURE']),
  /** One sentence under 500 characters: what it was, and the first thing to do. Absent on success. */
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
    name: VALIDATE_CONNECTOR,
    version: 1,
    effect: 'reads',
    input: z.object({ connector: connectorSchema }),
    output: validationAnswerSchema,
    authorize: ({ connector }) =>
      authorizeConnector(connector, { name: VALIDATE_CONNECTOR, tables: [] }, runtime.deps),
    secrets: ({ connector }) => secretNeeds(connector),
    async run({ connector }, context) {
      const { delegate, scrub } = runtime.deps;
      using list = new CheckList(context);
      for (const warning of settingsWarnings(connector)) list.warn(warning);
      const suspicion = await check(connector, runtime, list, context);
      const [first, ...others] = list.failures.map(({ error }) => error);
      return {
        ...(first === undefined
          ? { status: 'SUCCESS' as const, errors: [] }
          : {
              status: 'FAILURE' as const,
              errorSummary: summaryOf([first, ...others], scrub, suspicion),
              errors: [first, ...others],
            }),
        warnings: list.warnings,
        checks: list.checks,
        testedAt: toTimestamp(context.clock.now()),
        delegate: { id: delegate.id(), name: delegate.name, version: delegate.version },
      };
    },
  });
}

/**
 * The checks in order. Each gets what the ones before it found, and is skipped if they found nothing. What the
 * first failure most likely comes from, if that shows only when all is done.
 */
async function check(
  connector: ConnectorSettings,
  runtime: ServiceNowRuntime,
  list: CheckList,
  context: TaskContext,
): Promise<Suspicion | undefined> {
  const { deps } = runtime;
  const method = authMethod(connector.spec.auth);
  const { tokenEndpoint } = method;
  const instance = new URL(connector.spec.serviceNowUrl.baseUrl);
  const witness = witnessClocks(deps.http.send, context.clock);
  const watched = runtimeWithin(context, sendingBy(witness.send, runtime));

  const secrets = await checkSecrets(connector, watched, list);
  const opened = secrets && openAuthentication(connector, secrets, watched);
  const keyed = await checkKeyMaterial(method, opened, list);
  const urls = tokenEndpoint === undefined ? [instance] : [instance, tokenEndpoint];
  const reached = await checkNetwork(urls, deps, list);
  const authentication =
    tokenEndpoint === undefined
      ? keyed
      : await checkToken(reached.has(tokenEndpoint.origin) ? keyed : undefined, deps.scrub, list);
  const ready = reached.has(instance.origin) ? authentication : undefined;
  const client = ready && clientFor(connector, ready, watched);
  const answer = await checkApi(client, list);
  await checkAccess(client, answer, list);
  const servers = serversOf(instance, tokenEndpoint);
  await checkClock(servers, witness, list);
  for (const warning of keyed?.warnings() ?? []) list.warn(warning);

  const [first] = list.failures;
  return first && suspectClock(first, { servers, signs: method.signsWithKey }, witness);
}

/** The runtime, whose exchanges of this one task go through `send`. */
function sendingBy(send: HttpSend, runtime: ServiceNowRuntime): ServiceNowRuntime {
  const { deps, auth } = runtime;
  const http = { send, probe: (url: URL, signal: AbortSignal) => deps.http.probe(url, signal) };
  return { ...runtime, deps: { ...deps, http }, auth: { ...auth, send } };
}

/** ServiceNow may be its own token server, and then has one clock. */
function serversOf(instance: URL, tokenEndpoint: URL | undefined): TimedServer[] {
  const serviceNow: TimedServer = { name: 'ServiceNow', origin: instance.origin };
  return tokenEndpoint === undefined || tokenEndpoint.origin === instance.origin
    ? [serviceNow]
    : [serviceNow, { name: 'the token server', origin: tokenEndpoint.origin }];
}
