import { z } from 'zod';
import { ERROR_CATEGORIES } from '../kit/errors.ts';
import {
  MAX_CAPACITY,
  MAX_FRAME_BYTES,
  MAX_LISTED_TASKS,
  MAX_TAGS,
  MIN_FRAME_BYTES,
  MIN_HEARTBEATS_PER_LEASE,
} from './limits.ts';
import { VERSION_PATTERN } from './version.ts';

/**
 * The frames, one schema each; PROTOCOL.md is the prose. Unknown fields are ignored (zod strips them), and
 * what a schema does not refuse is what the rest of the program may rely on.
 */

// --- vocabulary -------------------------------------------------------------------------------------------

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const durationMs = count;
const shortText = z.string().max(256);
const text = z.string().max(65_536);
/** RFC 3339 in UTC. Written with `Z`; the other way to say the same is read too. */
const timestamp = z.iso.datetime({ offset: true }).regex(/(?:Z|\+00:00)$/);

export const taskIdSchema = z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/);
const attempt = count.min(1);
const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What `JSON.stringify` leaves out or refuses: a writer's mistake that its reader would see as a missing field. */
const NO_JSON: ReadonlySet<string> = new Set(['undefined', 'function', 'symbol', 'bigint']);
const isJson = (value: unknown): boolean => !NO_JSON.has(typeof value);

/** Not walked: whatever arrives came out of `JSON.parse`, and the codec has bounded its depth and size. */
export const jsonSchema = z.custom<Json>(isJson, { error: 'is missing' });

export const taskRefSchema = z.object({ taskId: taskIdSchema, attempt });
const taskRefs = z.array(taskRefSchema).max(MAX_LISTED_TASKS);

export const delegateIdentitySchema = z.object({
  id: shortText.min(1),
  name: shortText.min(1),
  instanceId: z.guid(),
  version: z.string().regex(VERSION_PATTERN),
});

export const wireErrorSchema = z.object({
  code: z
    .string()
    .regex(/^[a-z0-9]+([.-][a-z0-9]+)*$/)
    .max(128),
  message: text,
  hint: text.optional(),
  category: z.enum(ERROR_CATEGORIES),
  retryable: z.boolean(),
  status: z.number().int().min(100).max(599).optional(),
  // Wider than what a `DelegateError` holds: another delegate's facts may be of any shape.
  details: z
    .record(z.string(), z.custom<Json | readonly string[]>(isJson, { error: 'is missing' }))
    .optional(),
});

const timingSchema = z.object({
  receivedAt: timestamp,
  /** Equal to `finishedAt` for a task that ended before its work began. */
  startedAt: timestamp,
  finishedAt: timestamp,
  queueMs: durationMs,
  runMs: durationMs,
});

export const REJECT_CODES = [
  'unknown-task',
  'unsupported-version',
  'invalid-input',
  'no-credit',
  'draining',
  'stale-attempt',
  'policy-denied',
  'bad-signature',
  'outbox-full',
] as const;

/** Whether a task type changes anything in the customer's systems. A type that does not say is taken to read. */
export const TASK_EFFECTS = ['reads', 'writes'] as const;

const taskTypeSchema = z.object({
  name: nameSchema,
  version: count.min(1),
  effect: z.enum(TASK_EFFECTS).optional(),
});

// --- delegate → manager -----------------------------------------------------------------------------------

const hello = z.object({
  type: z.literal('hello'),
  delegate: delegateIdentitySchema.extend({ commit: shortText.optional(), runtime: shortText.optional() }),
  tags: z.array(shortText).max(MAX_TAGS),
  tasks: z.array(taskTypeSchema).max(1_000),
  capabilities: z.array(shortText).max(1_000),
  capacity: count.min(1).max(MAX_CAPACITY),
  running: taskRefs,
  unacknowledged: taskRefs,
  policyHash: shortText.nullable(),
});

const credit = z.object({ type: z.literal('credit'), granted: count });

const taskAccept = z.object({ type: z.literal('task.accept'), taskId: taskIdSchema, attempt });

const taskReject = z.object({
  type: z.literal('task.reject'),
  taskId: taskIdSchema,
  attempt,
  code: z.enum(REJECT_CODES),
  message: text,
  retryAfterMs: durationMs.optional(),
});

const taskProgress = z.object({
  type: z.literal('task.progress'),
  taskId: taskIdSchema,
  attempt,
  seq: count,
  message: text,
  data: jsonSchema.optional(),
});

const resultBase = {
  type: z.literal('task.result'),
  taskId: taskIdSchema,
  attempt,
  delegate: delegateIdentitySchema,
  timing: timingSchema,
};

const taskResult = z.discriminatedUnion('outcome', [
  z.object({ ...resultBase, outcome: z.literal('succeeded'), output: jsonSchema }),
  z.object({ ...resultBase, outcome: z.literal('failed'), error: wireErrorSchema }),
  z.object({ ...resultBase, outcome: z.literal('cancelled'), error: wireErrorSchema }),
  z.object({ ...resultBase, outcome: z.literal('unknown'), error: wireErrorSchema }),
]);

const heartbeat = z.object({
  type: z.literal('heartbeat'),
  seq: count,
  running: taskRefs,
  load: z.object({
    running: count,
    queued: count,
    eventLoopDelayMs: durationMs,
    rssBytes: count,
  }),
});

const draining = z.object({ type: z.literal('draining'), reason: text, running: taskRefs });

const goodbye = z.object({
  type: z.literal('goodbye'),
  reason: text,
  running: taskRefs,
  unacknowledged: taskRefs,
});

// --- manager → delegate -----------------------------------------------------------------------------------

const welcome = z
  .object({
    type: z.literal('welcome'),
    sessionId: shortText.min(1),
    managerTime: timestamp,
    heartbeatMs: durationMs.min(1),
    leaseMs: durationMs,
    maxFrameBytes: count.min(MIN_FRAME_BYTES).max(MAX_FRAME_BYTES),
    lost: taskRefs,
  })
  .refine((frame) => frame.leaseMs >= MIN_HEARTBEATS_PER_LEASE * frame.heartbeatMs, {
    path: ['leaseMs'],
    message: `must be at least ${MIN_HEARTBEATS_PER_LEASE} × heartbeatMs`,
  });

const taskAssign = z.object({
  type: z.literal('task.assign'),
  taskId: taskIdSchema,
  attempt,
  // Wider than the name of any task type: a name that this delegate can't know is a task that it does not know.
  name: shortText.regex(/^\P{Cc}+$/u),
  version: count.min(1),
  input: jsonSchema,
  timeoutMs: durationMs.min(1),
  traceparent: shortText.optional(),
  signature: z.string().max(16_384).optional(),
});

const acceptAck = z.object({ type: z.literal('accept.ack'), taskId: taskIdSchema, attempt });
const taskCancel = z.object({ type: z.literal('task.cancel'), taskId: taskIdSchema, attempt, reason: text });
const resultAck = z.object({ type: z.literal('result.ack'), taskId: taskIdSchema, attempt });
const heartbeatAck = z.object({ type: z.literal('heartbeat.ack'), seq: count, lost: taskRefs });

const drain = z.object({
  type: z.literal('drain'),
  reason: text,
  reconnectAfterMs: durationMs,
});

/** Beyond the base contract (PROTOCOL.md, section 8.2). */
const taskSigningKeys = z.object({ type: z.literal('task-signing-keys'), signed: z.string().max(16_384) });

const pause = z.object({ type: z.literal('pause'), reason: text });
const resume = z.object({ type: z.literal('resume') });

// --- the two directions -----------------------------------------------------------------------------------

/** What the manager reads and the delegate sends, by `type`. */
export const toManagerSchemas = {
  hello,
  credit,
  'task.accept': taskAccept,
  'task.reject': taskReject,
  'task.progress': taskProgress,
  'task.result': taskResult,
  heartbeat,
  draining,
  goodbye,
} as const;

/** What the delegate reads and the manager sends, by `type`. */
export const toDelegateSchemas = {
  welcome,
  'task.assign': taskAssign,
  'accept.ack': acceptAck,
  'task.cancel': taskCancel,
  'result.ack': resultAck,
  'heartbeat.ack': heartbeatAck,
  drain,
  pause,
  resume,
  'task-signing-keys': taskSigningKeys,
} as const;

export type ToManager = z.infer<(typeof toManagerSchemas)[keyof typeof toManagerSchemas]>;
export type ToDelegate = z.infer<(typeof toDelegateSchemas)[keyof typeof toDelegateSchemas]>;

export type Hello = z.infer<typeof hello>;
export type Welcome = z.infer<typeof welcome>;
export type TaskAssign = z.infer<typeof taskAssign>;
export type TaskReject = z.infer<typeof taskReject>;
export type TaskProgress = z.infer<typeof taskProgress>;
export type TaskResult = z.infer<typeof taskResult>;
export type TaskTiming = z.infer<typeof timingSchema>;
export type Heartbeat = z.infer<typeof heartbeat>;
export type Drain = z.infer<typeof drain>;
export type TaskRef = z.infer<typeof taskRefSchema>;
export type DelegateIdentity = z.infer<typeof delegateIdentitySchema>;
export type RejectCode = (typeof REJECT_CODES)[number];
export type TaskEffect = (typeof TASK_EFFECTS)[number];

/** One attempt of one task as a map key. Neither part can hold the separator. */
export function keyOf(ref: TaskRef): string {
  return `${ref.taskId}#${ref.attempt}`;
}
