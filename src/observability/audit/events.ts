import { z } from 'zod';

/**
 * What the audit log tells, by event: who asked for what, which rule allowed it, which secrets went to which hosts, and
 * how it ended. Secrets stand here by the customer's own names; no value, and no input of a task, ever does. A field
 * that does not apply is null, so that every record of an event has the same fields.
 */

const count = z.number().int().min(0);
const attempt = z.number().int().min(1);
const ofTask = { taskId: z.string(), attempt, name: z.string() };

const events = [
  z.strictObject({
    event: z.literal('started'),
    version: z.string(),
    delegateName: z.string(),
    delegateId: z.string().nullable(),
    managerUrl: z.string(),
    policyHash: z.string().nullable(),
    requireSignedTasks: z.boolean(),
    allowLoopback: z.boolean(),
  }),
  z.strictObject({ event: z.literal('stopped') }),
  z.strictObject({ event: z.literal('enrolled'), managerUrl: z.string(), delegateId: z.string() }),
  z.strictObject({
    event: z.literal('connected'),
    managerUrl: z.string(),
    delegateId: z.string(),
    sessionId: z.string(),
  }),
  z.strictObject({
    event: z.literal('disconnected'),
    sessionId: z.string(),
    code: z.number().int(),
    why: z.string(),
  }),
  /** Keys by their thumbprints (RFC 7638). */
  z.strictObject({ event: z.literal('key-rotated'), oldKey: z.string().nullable(), newKey: z.string() }),
  z.strictObject({ event: z.literal('revoked'), managerUrl: z.string() }),
  z.strictObject({
    event: z.literal('task'),
    ...ofTask,
    version: z.number().int(),
    /** As in a task's signature; null of an input that has no canonical form. */
    inputHash: z.string().nullable(),
    /** The key id of a signature that was checked; null of a task that nobody had to sign. */
    signedBy: z.string().nullable(),
    allowedBy: z.array(z.string()),
  }),
  z.strictObject({
    event: z.literal('refused'),
    ...ofTask,
    code: z.string(),
    rule: z.string().nullable(),
    why: z.string(),
  }),
  z.strictObject({
    event: z.literal('task-ended'),
    ...ofTask,
    /** As in the result, or `discarded`: the manager gave the task up, and no result was sent. */
    outcome: z.enum(['succeeded', 'failed', 'cancelled', 'unknown', 'discarded']),
    code: z.string().nullable(),
    secrets: z.array(z.strictObject({ name: z.string(), hosts: z.array(z.string()) })),
    /** Milliseconds since the task came; null of one that the run before left unfinished. */
    durationMs: count.nullable(),
  }),
  z.strictObject({
    event: z.literal('policy-denied'),
    code: z.string(),
    rule: z.string().nullable(),
    /** The host, address, instance, secret or table that it was about. */
    subject: z.string().nullable(),
    why: z.string(),
  }),
  z.strictObject({ event: z.literal('secret-replaced'), name: z.string() }),

  // --- of the log itself
  /** The first record of each file. */
  z.strictObject({
    event: z.literal('segment'),
    format: z.literal(1),
    file: z.string(),
    /** Records before this one have been removed to keep within the size, or are about to be. */
    keptFromSeq: z.number().int().min(1),
  }),
  /** More of the same within one minute than is told one by one. */
  z.strictObject({
    event: z.literal('repeated'),
    of: z.string(),
    code: z.string().nullable(),
    rule: z.string().nullable(),
    count,
    from: z.string(),
    to: z.string(),
  }),
  /** The end of a line that was never finished, as after a crash, was cut off at the start. */
  z.strictObject({ event: z.literal('repaired'), file: z.string(), cutBytes: count }),
  /** A start found a file that was changed. */
  z.strictObject({ event: z.literal('damaged'), file: z.string(), line: count, why: z.string() }),
  /** A start did not find the record that was the last one before. */
  z.strictObject({ event: z.literal('missing'), lastSeq: count, lastHash: z.string() }),
  /** Records that the disk did not take, and memory could not hold. */
  z.strictObject({ event: z.literal('lost'), count }),
] as const;

export const auditEventSchema = z.discriminatedUnion('event', events);

export type AuditEvent = z.infer<typeof auditEventSchema>;

/** By event, the names of its fields; for the documents, and whoever checks them. */
export const AUDIT_FIELDS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  events.map(({ shape }) => [shape.event.value, Object.keys(shape).filter((field) => field !== 'event')]),
);
