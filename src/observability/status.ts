import { z } from 'zod';

/** Raised when a member goes, or the meaning or the words of one change. A member or a check that is added does not raise it. */
export const STATUS_VERSION = 1;

/** Running tasks that are listed one by one, the oldest first; `tasks.running` counts them all. */
export const MAX_LISTED_TASKS = 100;

const time = z.iso.datetime();
const count = z.int().nonnegative();
const ms = z.number().nonnegative();

export const PHASES = [
  'starting',
  'enrolling',
  'connecting',
  'ready',
  'draining',
  'stopped',
  'failed',
] as const;

// No object here is strict: whoever reads an answer may be older than who gave it, and ignores what it does not know.

const checkSchema = z.object({
  /** A later version may have checks that this one does not know. */
  name: z.string(),
  ok: z.boolean(),
  /** For people: what is missing; or what is worth knowing although it is fine. */
  detail: z.string().optional(),
});

/** One of those that this version makes. */
export interface ReadinessCheck extends z.infer<typeof checkSchema> {
  readonly name: 'serving' | 'accepted' | 'connected' | 'heartbeats' | 'journal' | 'audit' | 'credit';
}

const failureSchema = z.object({
  at: time,
  /** An error code, or `session-` and how a session ended. */
  code: z.string(),
  message: z.string(),
  hint: z.string().nullable(),
});

/** What the delegate itself knows of its state. */
export const delegateStateSchema = z.object({
  phase: z.object({ is: z.enum(PHASES), since: time }),
  readiness: z.object({
    ready: z.boolean(),
    /** The detail of the first check that fails; null when ready. */
    reason: z.string().nullable(),
    checks: z.array(checkSchema),
  }),
  manager: z.object({
    /** `https://manager.example` */
    origin: z.string(),
    session: z
      .object({
        id: z.string(),
        openedAt: time,
        ageMs: ms,
        /** From the last heartbeat to its acknowledgement; null before the first. */
        heartbeatRttMs: ms.nullable(),
        /** The manager has asked for no more credit for now. */
        paused: z.boolean(),
      })
      .nullable(),
    /** It stays when the next attempt succeeds. */
    lastFailure: failureSchema.nullable(),
    /** Null unless an attempt is waited for. */
    nextAttemptAt: time.nullable(),
  }),
  enrolment: z.object({
    /** Null before the enrolment with this manager. */
    delegateId: z.string().nullable(),
    /** Name of the public key; null before it is read. */
    keyId: z.string().nullable(),
    /** Null where nobody has counted yet. */
    keySince: time.nullable(),
  }),
  tasks: z.object({
    capacity: count,
    /** Granted to the session, and not used. */
    credit: count,
    running: count,
    list: z.array(z.object({ taskId: z.string(), attempt: z.int(), name: z.string(), ageMs: ms })),
  }),
  /** Results that the manager has not acknowledged. */
  outbox: z.object({
    results: count,
    bytes: count,
    oldestFinishedAt: time.nullable(),
    maxResults: count,
    maxBytes: count,
  }),
  journal: z.object({ writable: z.boolean() }),
  audit: z.object({ writable: z.boolean() }),
});
export type DelegateState = z.infer<typeof delegateStateSchema>;

const loopDelaySchema = z.object({ meanMs: ms, p99Ms: ms, maxMs: ms });
export type LoopDelayTimes = z.infer<typeof loopDelaySchema>;

/** Of each kind of event, how often it happened since the start of the process. */
export const countsSchema = z.object({
  sessions: count,
  sessionEnds: z.array(z.object({ reason: z.string(), count })),
  connectFailures: z.array(z.object({ code: z.string(), count })),
  taskResults: z.array(z.object({ task: z.string(), outcome: z.string(), code: z.string(), count })),
  taskRejects: z.array(z.object({ code: z.string(), count })),
  leasesLost: count,
  policyDenials: z.array(z.object({ code: z.string(), count })),
  tokenRequests: z.array(z.object({ grant: z.string(), code: z.string(), count })),
  instanceThrottled: count,
});
export type Counts = z.infer<typeof countsSchema>;

/** The body of `/status.json`. Holds no value of a secret, no secret reference and no input or output of a task. */
export const statusSchema = delegateStateSchema.extend({
  statusVersion: z.literal(STATUS_VERSION),
  at: time,
  delegate: z.object({
    name: z.string(),
    version: z.string(),
    node: z.string(),
    pid: z.int(),
    tags: z.array(z.string()),
    startedAt: time,
    uptimeMs: ms,
  }),
  audit: z.object({ enabled: z.boolean(), writable: z.boolean() }),
  secrets: z.object({
    /** Names of the kinds of places that are set up: `env`, `file`, `vault` … */
    stores: z.array(z.string()),
  }),
  policy: z.object({
    source: z.enum(['default', 'file']),
    /** Of the file; null without one. */
    hash: z.string().nullable(),
    requireSignedTasks: z.boolean(),
  }),
  network: z.object({
    /** Addresses without credentials; null: none is set. A policy file may name others for single hosts. */
    httpsProxy: z.string().nullable(),
    httpProxy: z.string().nullable(),
    /** Whether authorities of the operator stand in the place of those that Node knows. */
    ownAuthorities: z.boolean(),
    /** Origins that a client certificate is shown to. */
    clientCertificates: z.array(z.string()),
  }),
  instances: z.object({
    /** Left alone at present, since they are busy or do not answer. */
    paused: count,
  }),
  process: z.object({
    rssBytes: count,
    heapUsedBytes: count,
    /** Of the last whole window of a few seconds. */
    eventLoopDelay: loopDelaySchema,
    /** Of the file system of the state folder; null where it does not say. */
    stateDiskFreeBytes: count.nullable(),
  }),
  counts: countsSchema.extend({ logLinesLost: count }),
});
export type Status = z.infer<typeof statusSchema>;
