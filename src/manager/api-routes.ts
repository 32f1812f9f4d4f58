import { z } from 'zod';
import { systemClock, toTimestamp } from '../kit/time.ts';
import {
  approvalViewSchema,
  cancelSchema,
  connectorViewSchema,
  delegateViewSchema,
  enrolmentTokenViewSchema,
  issuedTokenViewSchema,
  newApprovalSchema,
  newEnrolmentTokenSchema,
  newTaskSchema,
  taskViewSchema,
  viewApproval,
  viewConnector,
  viewDelegate,
  viewTask,
  viewToken,
  waitSchema,
} from './api-schemas.ts';
import { bodyRoute, param, parse, route, type Call, type Reply, type Route } from './api-route.ts';
import type { Approvals } from './approvals.ts';
import { connectorSchema, toJson, type ConnectorInput } from './connectors.ts';
import type { Enrolment } from './enrolment.ts';
import { HttpProblem } from './http-io.ts';
import type { Settings } from './options.ts';
import type { Scheduler } from './scheduler.ts';
import type { SessionTable } from './session-table.ts';
import { signingKeyRoutes } from './api-signing-keys.ts';
import type { ConnectorRecord } from './store.ts';
import type { TaskSigner } from './task-signing.ts';

const VALIDATE_TASK = { name: 'servicenow.connector.validate', version: 1 };
const VALIDATE_TIMEOUT_MS = 60_000;
const MAX_CONNECTORS = 10_000;

interface ApiDeps {
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly sessions: SessionTable;
  readonly enrolment: Enrolment;
  readonly approvals: Approvals;
  readonly signer: TaskSigner | undefined;
}

const wait = {
  description: 'Answer when the task has ended, or after this many milliseconds, whichever is first.',
  schema: waitSchema,
};

export function apiRoutes(deps: ApiDeps): Route[] {
  return [
    ...enrolmentRoutes(deps),
    ...delegateRoutes(deps),
    ...signingKeyRoutes(deps.signer, deps.sessions),
    ...connectorRoutes(deps),
    ...taskRoutes(deps),
    ...approvalRoutes(deps),
  ];
}

function enrolmentRoutes({ enrolment, settings }: ApiDeps): Route[] {
  const path = '/api/v1/enrolment-tokens';
  return [
    bodyRoute({
      method: 'POST',
      path,
      summary: 'Make an enrolment token; its value is shown this once',
      body: newEnrolmentTokenSchema,
      replies: { 201: issuedTokenViewSchema },
      handle: (_call, wanted) => {
        const { record, value } = enrolment.issue(wanted);
        return { status: 201, body: { ...viewToken(record), value: value.reveal() } };
      },
    }),
    route({
      method: 'GET',
      path,
      summary: 'List the enrolment tokens, without their values',
      replies: { 200: z.object({ enrolmentTokens: z.array(enrolmentTokenViewSchema) }) },
      handle: () => ({
        status: 200,
        body: { enrolmentTokens: [...settings.store.enrolmentTokens.values()].map(viewToken) },
      }),
    }),
  ];
}

function delegateRoutes({ enrolment, sessions, settings }: ApiDeps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/v1/delegates',
      summary: 'List the delegates, connected or not',
      replies: { 200: z.object({ delegates: z.array(delegateViewSchema) }) },
      handle: () => {
        const records = [...settings.store.delegates.values()];
        const delegates = records.map((record) => viewDelegate(record, sessions.of(record.delegateId)));
        return { status: 200, body: { delegates } };
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/v1/delegates/{delegateId}',
      summary: 'Revoke a delegate: its session ends and its key is not accepted again',
      replies: { 204: undefined },
      handle: ({ params }) => {
        const delegateId = param(params, 'delegateId');
        if (!enrolment.revoke(delegateId)) throw notFound('delegate', delegateId);
        sessions.revoke(delegateId);
        return { status: 204 };
      },
    }),
  ];
}

function connectorRoutes({ scheduler, settings }: ApiDeps): Route[] {
  const { connectors } = settings.store;
  const one = '/api/v1/connectors/{identifier}';
  const existing = (call: Call): ConnectorRecord => {
    const identifier = param(call.params, 'identifier');
    const record = connectors.get(identifier);
    if (record === undefined) throw notFound('connector', identifier);
    return record;
  };
  const store = (connector: ConnectorInput, createdAt: string | undefined): ConnectorRecord => {
    const now = toTimestamp(settings.clock.now());
    const record: ConnectorRecord = {
      identifier: connector.identifier,
      selectors: connector.spec.delegateSelectors ?? [],
      connector: toJson(connector),
      createdAt: createdAt ?? now,
      updatedAt: now,
    };
    connectors.put(record.identifier, record);
    return record;
  };
  return [
    bodyRoute({
      method: 'POST',
      path: '/api/v1/connectors',
      summary: 'Store a connector; it holds references to secrets, never their values',
      body: connectorSchema,
      replies: { 201: connectorViewSchema },
      handle: (_call, connector) => {
        if (connectors.get(connector.identifier) !== undefined) {
          throw new HttpProblem(
            409,
            'connector-exists',
            `There is a connector ${connector.identifier} already.`,
            {
              hint: `Change it with PUT /api/v1/connectors/${connector.identifier}.`,
            },
          );
        }
        if ([...connectors.values()].length >= MAX_CONNECTORS) {
          throw new HttpProblem(
            503,
            'too-many-connectors',
            `There are ${MAX_CONNECTORS} connectors already.`,
          );
        }
        return { status: 201, body: viewConnector(store(connector, undefined)) };
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/connectors',
      summary: 'List the connectors',
      replies: { 200: z.object({ connectors: z.array(connectorViewSchema) }) },
      handle: () => ({ status: 200, body: { connectors: [...connectors.values()].map(viewConnector) } }),
    }),
    route({
      method: 'GET',
      path: one,
      summary: 'Read a connector',
      replies: { 200: connectorViewSchema },
      handle: (call) => ({ status: 200, body: viewConnector(existing(call)) }),
    }),
    bodyRoute({
      method: 'PUT',
      path: one,
      summary: 'Replace a connector',
      body: connectorSchema,
      replies: { 200: connectorViewSchema },
      handle: (call, connector) => {
        const { identifier, createdAt } = existing(call);
        if (connector.identifier !== identifier) {
          throw new HttpProblem(400, 'invalid-input', `identifier: must be ${identifier}, as in the address`);
        }
        return { status: 200, body: viewConnector(store(connector, createdAt)) };
      },
    }),
    route({
      method: 'DELETE',
      path: one,
      summary: 'Delete a connector; approvals that wait for it fail at their next look',
      replies: { 204: undefined },
      handle: (call) => {
        connectors.delete(existing(call).identifier);
        return { status: 204 };
      },
    }),
    route({
      method: 'POST',
      path: `${one}/test`,
      summary: 'Have a delegate test the connector',
      query: { wait },
      replies: { 200: taskViewSchema, 202: taskViewSchema },
      handle: (call) => {
        const { connector, selectors } = existing(call);
        const waitMs = readWait(call);
        const { taskId } = scheduler.submit({
          ...VALIDATE_TASK,
          input: { connector },
          selectors,
          timeoutMs: VALIDATE_TIMEOUT_MS,
        });
        return taskReply(scheduler, taskId, waitMs, call.signal);
      },
    }),
  ];
}

function taskRoutes({ scheduler }: ApiDeps): Route[] {
  const one = '/api/v1/tasks/{taskId}';
  const existing = (call: Call): string => {
    const taskId = param(call.params, 'taskId');
    if (scheduler.task(taskId) === undefined) throw notFound('task', taskId);
    return taskId;
  };
  return [
    bodyRoute({
      method: 'POST',
      path: '/api/v1/tasks',
      summary: 'Start a task',
      body: newTaskSchema,
      query: { wait },
      replies: { 200: taskViewSchema, 202: taskViewSchema },
      handle: (call, request) => {
        const waitMs = readWait(call);
        return taskReply(scheduler, scheduler.submit(request).taskId, waitMs, call.signal);
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/tasks',
      summary: 'List the tasks, oldest first',
      replies: { 200: z.object({ tasks: z.array(taskViewSchema) }) },
      handle: () => {
        const tasks = scheduler.tasks().map((task) => viewTask(task, scheduler.waitingFor(task)));
        return { status: 200, body: { tasks } };
      },
    }),
    route({
      method: 'GET',
      path: one,
      summary: 'Read a task, or wait for its end',
      query: { wait },
      replies: { 200: taskViewSchema },
      handle: async (call) => {
        const reply = await taskReply(scheduler, existing(call), readWait(call), call.signal);
        return { ...reply, status: 200 };
      },
    }),
    bodyRoute({
      method: 'POST',
      path: `${one}/cancel`,
      summary:
        'Cancel a task; it ends when its delegate says so, or its lease, or the wait for one that may have written',
      body: cancelSchema,
      query: { wait },
      replies: { 200: taskViewSchema, 202: taskViewSchema },
      handle: (call, { reason }) => {
        const taskId = existing(call);
        const waitMs = readWait(call);
        scheduler.cancel(taskId, reason);
        return taskReply(scheduler, taskId, waitMs, call.signal);
      },
    }),
  ];
}

function approvalRoutes({ approvals, settings }: ApiDeps): Route[] {
  const one = '/api/v1/approvals/{approvalId}';
  return [
    bodyRoute({
      method: 'POST',
      path: '/api/v1/approvals',
      summary:
        'Wait for the decision on a ticket: look at once, then at every tick of the connector, an interval apart',
      body: newApprovalSchema(settings.minRetryIntervalMs),
      replies: { 202: approvalViewSchema },
      handle: (_call, { connector, retryIntervalMs, timeoutMs, ...question }) => {
        const approval = approvals.start({
          connector,
          retryIntervalMs,
          timeoutMs,
          question: z.record(z.string(), z.json()).parse(question),
        });
        return { status: 202, body: viewApproval(approval) };
      },
    }),
    route({
      method: 'GET',
      path: '/api/v1/approvals',
      summary: 'List the approvals, oldest first',
      replies: { 200: z.object({ approvals: z.array(approvalViewSchema) }) },
      handle: () => ({ status: 200, body: { approvals: approvals.all().map(viewApproval) } }),
    }),
    route({
      method: 'GET',
      path: one,
      summary: 'Read an approval with the log of its looks',
      replies: { 200: approvalViewSchema },
      handle: ({ params }) => {
        const approvalId = param(params, 'approvalId');
        const approval = approvals.get(approvalId);
        if (approval === undefined) throw notFound('approval', approvalId);
        return { status: 200, body: viewApproval(approval) };
      },
    }),
    bodyRoute({
      method: 'POST',
      path: `${one}/cancel`,
      summary: 'Stop waiting for the decision',
      body: cancelSchema,
      replies: { 200: approvalViewSchema },
      handle: async ({ params }, { reason }) => {
        const approvalId = param(params, 'approvalId');
        const approval = await approvals.cancel(approvalId, reason);
        if (approval === undefined) throw notFound('approval', approvalId);
        return { status: 200, body: viewApproval(approval) };
      },
    }),
  ];
}

/** The task as it is when it ends or the wait does: 200 if it has ended, otherwise 202. */
async function taskReply(
  scheduler: Scheduler,
  taskId: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<Reply> {
  if (waitMs > 0) {
    const patience = new AbortController();
    // Real time: what it bounds is how long a caller holds its connection.
    const timer = systemClock.after(waitMs, () => patience.abort(new Error('waited as long as asked')));
    try {
      await scheduler.whenEnded(taskId, AbortSignal.any([patience.signal, signal]));
    } catch (error) {
      if (!patience.signal.aborted) throw error;
    } finally {
      timer.cancel();
    }
  }
  const task = scheduler.task(taskId);
  if (task === undefined) throw notFound('task', taskId);
  const status = task.state.at === 'ended' ? 200 : 202;
  const body = viewTask(task, scheduler.waitingFor(task));
  return { status, body, headers: { location: `/api/v1/tasks/${taskId}` } };
}

function readWait({ query }: Call): number {
  return parse(waitSchema, query.get('wait') ?? 0, 'wait');
}

function notFound(what: string, id: string): HttpProblem {
  return new HttpProblem(404, `${what}-not-found`, `There is no ${what} ${id}.`);
}
