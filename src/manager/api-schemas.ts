import { z } from 'zod';
import { ERROR_CATEGORIES } from '../kit/errors.ts';
import { MAX_TIMEOUT_MS } from '../protocol/limits.ts';
import { whyApprovalWaits } from './approval-looks.ts';
import { selectorsSchema, identifierSchema } from './connectors.ts';
import type { SessionSnapshot } from './session.ts';
import type {
  ApprovalRecord,
  ConnectorRecord,
  DelegateRecord,
  EnrolmentTokenRecord,
  TaskRecord,
} from './store.ts';

/**
 * The bodies of the API, in and out. Requests are read by these very schemas and the description is made from
 * them, so the two can't differ; answers are typed by them.
 */

const DAY_MS = 86_400_000;
const DEFAULT_TASK_TIMEOUT_MS = 60_000;
const DEFAULT_RETRY_INTERVAL_MS = 60_000;

const durationMs = z.number().int().min(1).max(MAX_TIMEOUT_MS);
const time = z.iso.datetime();
const jsonObject = z.record(z.string(), z.json());

// --- requests ---------------------------------------------------------------------------------------------

export const newEnrolmentTokenSchema = z.strictObject({
  label: z.string().max(256).optional(),
  expiresInMs: durationMs.optional(),
  singleUse: z.boolean().optional(),
});

export const newTaskSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, { error: 'is not the name of a task' }),
  version: z.number().int().min(1).default(1),
  input: z.json(),
  selectors: selectorsSchema.default([]),
  timeoutMs: durationMs.default(DEFAULT_TASK_TIMEOUT_MS),
});

export const cancelSchema = z.strictObject({
  reason: z.string().min(1).max(1_024).default('cancelled through the API'),
});

/** The least interval is the manager's option, so the schema is made for each. */
export function newApprovalSchema(minRetryIntervalMs: number) {
  return z.strictObject({
    connector: identifierSchema.describe('Identifier of a stored connector.'),
    ticket: z
      .looseObject({ type: z.string().min(1).max(128) })
      .and(jsonObject)
      .refine((ticket) => typeof ticket['number'] === 'string' || typeof ticket['sysId'] === 'string', {
        error: 'needs number or sysId',
      }),
    approvalCriteria: criteria,
    rejectionCriteria: criteria.optional(),
    changeWindow: jsonObject.optional(),
    retryIntervalMs: durationMs
      .min(minRetryIntervalMs)
      .default(Math.max(minRetryIntervalMs, DEFAULT_RETRY_INTERVAL_MS)),
    timeoutMs: durationMs.default(DAY_MS),
  });
}

/** Read in full by the delegate alone; this much keeps an empty form from starting a poll. */
const criteria = z.object({ type: z.string().min(1).max(64), spec: jsonObject }).and(jsonObject);

export const waitSchema = z.coerce.number().int().min(0).max(60_000);

// --- answers ----------------------------------------------------------------------------------------------

const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  category: z.enum(ERROR_CATEGORIES),
  retryable: z.boolean(),
  status: z.number().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

export const problemSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
});

export const enrolmentTokenViewSchema = z.object({
  id: z.string(),
  label: z.string(),
  singleUse: z.boolean(),
  expiresAt: time.nullable(),
  createdAt: time,
  uses: z.number(),
});

export const issuedTokenViewSchema = enrolmentTokenViewSchema.extend({
  value: z.string().describe('Shown this once.'),
});

export const delegateViewSchema = z.object({
  delegateId: z.string(),
  name: z.string(),
  instanceId: z.string(),
  version: z.string(),
  enrolledAt: time,
  lastSeenAt: time.nullable(),
  revokedAt: time.nullable(),
  session: z
    .object({
      sessionId: z.string(),
      since: time,
      tags: z.array(z.string()),
      capabilities: z.array(z.string()),
      granted: z.number(),
      assigned: z.number(),
      taking: z.enum(['tasks', 'paused', 'leaving']),
      unknownFrames: z.number(),
    })
    .nullable(),
});

export const connectorViewSchema = z.object({
  identifier: z.string(),
  connector: z.json(),
  createdAt: time,
  updatedAt: time,
});

const holderSchema = z.object({ delegateId: z.string(), name: z.string(), version: z.string() });

export const taskViewSchema = z.object({
  taskId: z.string(),
  name: z.string(),
  version: z.number(),
  selectors: z.array(z.string()),
  timeoutMs: z.number(),
  createdAt: time,
  state: z
    .enum(['waiting', 'offered', 'running', 'orphaned', 'ended'])
    .describe('Orphaned: its delegate fell silent and may have written; nobody else is asked.'),
  waitingFor: z
    .string()
    .nullable()
    .describe(
      'Why a waiting task waits, in the words with which it fails if it waits too long; what an orphaned one waits for.',
    ),
  attempt: z.number(),
  delegate: holderSchema.nullable().describe('Who has it, or had it last, and in which version.'),
  outcome: z.enum(['succeeded', 'failed', 'cancelled', 'unknown']).nullable(),
  output: z.json().optional(),
  error: errorSchema.optional(),
  timing: z.record(z.string(), z.unknown()).nullable(),
  finishedAt: time.nullable(),
  cancelReason: z.string().nullable(),
  progress: z.object({ seq: z.number(), message: z.string(), at: time }).nullable(),
  history: z.array(
    z.object({
      at: time,
      attempt: z.number(),
      what: z.string(),
      holder: holderSchema.nullable(),
      detail: z.string().nullable(),
    }),
  ),
});

export const approvalViewSchema = z.object({
  approvalId: z.string(),
  connector: z.string(),
  status: z.enum(['waiting', 'approved', 'rejected', 'expired', 'failed', 'cancelled']),
  reason: z
    .string()
    .nullable()
    .describe('What the last look found, or why the wait ended without a decision.'),
  error: errorSchema
    .nullable()
    .describe(
      'Of the last look; null if that was taken. While it is retryable the approval goes on waiting; three in a row that are not, or one in the question itself, fail it.',
    ),
  failuresInARow: z.number().describe('Looks in a row that ended in an error which is not retryable.'),
  nextLookAt: time
    .nullable()
    .describe(
      'In the past while a look is under way; null before the first one ends, and when there will be no other.',
    ),
  waitingFor: z
    .string()
    .nullable()
    .describe('Why a waiting approval waits, and when it asks again, in a sentence.'),
  question: jsonObject,
  retryIntervalMs: z.number(),
  timeoutMs: z.number(),
  createdAt: time,
  expiresAt: time,
  finishedAt: time.nullable(),
  lookCount: z.number().describe('All looks, those that are no longer listed included.'),
  looks: z.array(
    z.object({
      at: time,
      taskId: z.string().nullable(),
      decision: z.enum(['approved', 'rejected', 'pending']).nullable(),
      reason: z.string().nullable(),
      error: errorSchema.nullable(),
      delegate: z.object({ id: z.string(), name: z.string(), version: z.string() }).nullable(),
    }),
  ),
});

// --- from records to answers --------------------------------------------------------------------------------

export function viewToken(record: EnrolmentTokenRecord): z.input<typeof enrolmentTokenViewSchema> {
  const { id, label, singleUse, expiresAt, createdAt, uses } = record;
  return { id, label, singleUse, expiresAt, createdAt, uses };
}

export function viewDelegate(
  record: DelegateRecord,
  session: SessionSnapshot | undefined,
): z.input<typeof delegateViewSchema> {
  const { delegateId, name, instanceId, version, enrolledAt, lastSeenAt, revokedAt } = record;
  const identity = { delegateId, name, instanceId, version, enrolledAt, lastSeenAt, revokedAt };
  if (session === undefined) return { ...identity, session: null };
  const { sessionId, since, tags, capabilities, granted, assigned, taking, unknownFrames } = session;
  return {
    ...identity,
    session: {
      sessionId,
      since,
      tags: [...tags],
      capabilities: [...capabilities],
      granted,
      assigned,
      taking,
      unknownFrames,
    },
  };
}

export function viewConnector(record: ConnectorRecord): z.input<typeof connectorViewSchema> {
  const { identifier, connector, createdAt, updatedAt } = record;
  return { identifier, connector, createdAt, updatedAt };
}

/** Without the input: it is the caller's own, and up to the size of a frame. */
export function viewTask(task: TaskRecord, waitingFor: string | null): z.input<typeof taskViewSchema> {
  const { taskId, name, version, timeoutMs, createdAt, attempt, cancelReason, progress, state } = task;
  const ended = state.at === 'ended' ? state : undefined;
  return {
    taskId,
    name,
    version,
    selectors: [...task.selectors],
    timeoutMs,
    createdAt,
    state: state.at,
    waitingFor,
    attempt,
    delegate: state.at === 'waiting' ? null : state.holder,
    outcome: ended?.outcome ?? null,
    ...(ended?.output === undefined ? {} : { output: ended.output }),
    ...(ended?.error === undefined ? {} : { error: ended.error }),
    timing: ended?.timing ?? null,
    finishedAt: ended?.finishedAt ?? null,
    cancelReason,
    progress,
    history: [...task.history],
  };
}

export function viewApproval(approval: ApprovalRecord): z.input<typeof approvalViewSchema> {
  return { ...approval, waitingFor: whyApprovalWaits(approval), looks: [...approval.looks] };
}
