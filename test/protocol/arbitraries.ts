import * as fc from 'fast-check';
import { z } from 'zod';
import { ERROR_CATEGORIES } from '../../src/kit/errors.ts';
import { toTimestamp } from '../../src/kit/time.ts';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import {
  REJECT_CODES,
  TASK_EFFECTS,
  type Json,
  type ToDelegate,
  type ToManager,
} from '../../src/protocol/messages.ts';

/** Arbitrary valid messages, one arbitrary for each `type`; a new frame fails to compile until it has one. */

const count = fc.maxSafeNat();
const attempt = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: 'binary', maxLength: 100 });
const nonEmpty = fc.string({ unit: 'binary', minLength: 1, maxLength: 100 });
const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') });
const timestamp = time.map((date) => toTimestamp(date.getTime()));
const taskId = fc.stringMatching(/^[A-Za-z0-9._:-]{1,128}$/);
const taskName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
const delegateVersion = fc.stringMatching(/^[0-9]{2}\.[0-9]{2}\.[0-9]{1,9}$/);

/** What `JSON.parse` gives: no minus zero, no shared references. */
export const json: fc.Arbitrary<Json> = fc
  .jsonValue({ maxDepth: 5 })
  .map((value) => z.json().parse(JSON.parse(JSON.stringify(value))));

const taskRef = fc.record({ taskId, attempt });
const refs = fc.array(taskRef, { maxLength: 5 });
const identity = { id: nonEmpty, name: nonEmpty, instanceId: fc.uuid(), version: delegateVersion };

const wireError = fc.record(
  {
    code: fc.stringMatching(/^[a-z0-9]+([.-][a-z0-9]+){0,3}$/).filter((code) => code.length <= 128),
    message: text,
    hint: text,
    category: fc.constantFrom(...ERROR_CATEGORIES),
    retryable: fc.boolean(),
    status: fc.integer({ min: 100, max: 599 }),
    details: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), json),
  },
  { requiredKeys: ['code', 'message', 'category', 'retryable'] },
);

const resultBase = {
  type: fc.constant('task.result' as const),
  taskId,
  attempt,
  delegate: fc.record(identity),
  timing: fc.record({
    receivedAt: timestamp,
    startedAt: timestamp,
    finishedAt: timestamp,
    queueMs: count,
    runMs: count,
  }),
};

type PerType<M extends { type: string }> = {
  [K in M['type']]: fc.Arbitrary<Extract<M, { type: K }>>;
};

const toManagerArbitraries: PerType<ToManager> = {
  hello: fc.record({
    type: fc.constant('hello' as const),
    delegate: fc.record(
      { ...identity, commit: text, runtime: text },
      { requiredKeys: ['id', 'name', 'instanceId', 'version'] },
    ),
    tags: fc.array(text, { maxLength: 5 }),
    tasks: fc.array(
      fc.record(
        { name: taskName, version: attempt, effect: fc.constantFrom(...TASK_EFFECTS) },
        { requiredKeys: ['name', 'version'] },
      ),
      { maxLength: 5 },
    ),
    capabilities: fc.array(text, { maxLength: 5 }),
    capacity: fc.integer({ min: 1, max: 1_000 }),
    running: refs,
    unacknowledged: refs,
    policyHash: fc.option(text),
  }),
  credit: fc.record({ type: fc.constant('credit' as const), granted: count }),
  'task.accept': fc.record({ type: fc.constant('task.accept' as const), taskId, attempt }),
  'task.reject': fc.record(
    {
      type: fc.constant('task.reject' as const),
      taskId,
      attempt,
      code: fc.constantFrom(...REJECT_CODES),
      message: text,
      retryAfterMs: count,
    },
    { requiredKeys: ['type', 'taskId', 'attempt', 'code', 'message'] },
  ),
  'task.progress': fc.record(
    { type: fc.constant('task.progress' as const), taskId, attempt, seq: count, message: text, data: json },
    { requiredKeys: ['type', 'taskId', 'attempt', 'seq', 'message'] },
  ),
  'task.result': fc.oneof(
    fc.record({ ...resultBase, outcome: fc.constant('succeeded' as const), output: json }),
    fc.record({ ...resultBase, outcome: fc.constant('failed' as const), error: wireError }),
    fc.record({ ...resultBase, outcome: fc.constant('cancelled' as const), error: wireError }),
    fc.record({ ...resultBase, outcome: fc.constant('unknown' as const), error: wireError }),
  ),
  heartbeat: fc.record({
    type: fc.constant('heartbeat' as const),
    seq: count,
    running: refs,
    load: fc.record({ running: count, queued: count, eventLoopDelayMs: count, rssBytes: count }),
  }),
  draining: fc.record({ type: fc.constant('draining' as const), reason: text, running: refs }),
  goodbye: fc.record({
    type: fc.constant('goodbye' as const),
    reason: text,
    running: refs,
    unacknowledged: refs,
  }),
};

const toDelegateArbitraries: PerType<ToDelegate> = {
  welcome: fc
    .record({
      type: fc.constant('welcome' as const),
      sessionId: nonEmpty,
      managerTime: timestamp,
      heartbeatMs: fc.integer({ min: 1, max: 1_000_000 }),
      leaseMs: fc.nat(),
      maxFrameBytes: fc.integer({ min: 4_096, max: MAX_FRAME_BYTES }),
      lost: refs,
    })
    .map((frame) => ({ ...frame, leaseMs: frame.leaseMs + 3 * frame.heartbeatMs })),
  'task.assign': fc.record(
    {
      type: fc.constant('task.assign' as const),
      taskId,
      attempt,
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
      version: attempt,
      input: json,
      timeoutMs: attempt,
      traceparent: text,
      signature: text,
    },
    { requiredKeys: ['type', 'taskId', 'attempt', 'name', 'version', 'input', 'timeoutMs'] },
  ),
  'accept.ack': fc.record({ type: fc.constant('accept.ack' as const), taskId, attempt }),
  'task.cancel': fc.record({ type: fc.constant('task.cancel' as const), taskId, attempt, reason: text }),
  'result.ack': fc.record({ type: fc.constant('result.ack' as const), taskId, attempt }),
  'heartbeat.ack': fc.record({ type: fc.constant('heartbeat.ack' as const), seq: count, lost: refs }),
  drain: fc.record({
    type: fc.constant('drain' as const),
    reason: text,
    reconnectAfterMs: count,
  }),
  pause: fc.record({ type: fc.constant('pause' as const), reason: text }),
  resume: fc.record({ type: fc.constant('resume' as const) }),
  'task-signing-keys': fc.record({
    type: fc.constant('task-signing-keys' as const),
    signed: fc.string({ maxLength: 16_384 }),
  }),
};

export const toManagerMessage: fc.Arbitrary<ToManager> = fc.oneof(...Object.values(toManagerArbitraries));
export const toDelegateMessage: fc.Arbitrary<ToDelegate> = fc.oneof(...Object.values(toDelegateArbitraries));
