import type { Status } from '../../src/observability/status.ts';

/** A delegate that has lost its manager while two tasks run. */
export const STATUS: Status = {
  statusVersion: 1,
  at: '2026-11-23T18:00:00.000Z',
  phase: { is: 'connecting', since: '2026-11-23T17:58:30.000Z' },
  readiness: {
    ready: false,
    reason: 'no session with the manager',
    checks: [
      { name: 'serving', ok: true },
      { name: 'connected', ok: false, detail: 'no session with the manager' },
      { name: 'journal', ok: false, detail: 'the journal takes no record' },
      { name: 'credit', ok: true, detail: 'every slot is taken' },
    ],
  },
  manager: {
    origin: 'https://manager.example.com',
    session: null,
    lastFailure: {
      at: '2026-11-23T17:59:48.000Z',
      code: 'network.refused',
      message: 'manager.example.com:443 refuses the connection.',
      hint: 'Is the manager up, and does a firewall stand between?',
    },
    nextAttemptAt: '2026-11-23T18:00:07.000Z',
  },
  enrolment: { delegateId: 'dlg-1', keyId: 'key-1', keySince: '2026-11-01T00:00:00.000Z' },
  tasks: {
    capacity: 16,
    credit: 0,
    running: 2,
    list: [
      { taskId: 't-1', attempt: 1, name: 'servicenow.approval.check', ageMs: 12_400 },
      { taskId: 't-2', attempt: 2, name: 'servicenow.connector.validate', ageMs: 800 },
    ],
  },
  outbox: {
    results: 3,
    bytes: 4_321,
    oldestFinishedAt: '2026-11-23T17:59:00.000Z',
    maxResults: 1_000,
    maxBytes: 67_108_864,
  },
  journal: { writable: false },
  audit: { enabled: true, writable: true },
  delegate: {
    name: 'eu-1',
    version: '26.11.90100',
    node: 'v24.1.0',
    pid: 4_711,
    tags: ['eu'],
    startedAt: '2026-11-20T15:00:00.000Z',
    uptimeMs: 270_000_000,
  },
  secrets: { stores: ['env', 'file'] },
  policy: { source: 'file', hash: 'sha256:5f70bf18', requireSignedTasks: true },
  network: { httpsProxy: null, httpProxy: null, ownAuthorities: false, clientCertificates: [] },
  instances: { paused: 0 },
  process: {
    rssBytes: 71_303_168,
    heapUsedBytes: 31_303_168,
    eventLoopDelay: { meanMs: 1, p99Ms: 4, maxMs: 12 },
    stateDiskFreeBytes: 12_345_678_901,
  },
  counts: {
    sessions: 4,
    sessionEnds: [{ reason: 'lost', count: 4 }],
    connectFailures: [{ code: 'network.refused', count: 7 }],
    taskResults: [
      { task: 'servicenow.approval.check', outcome: 'succeeded', code: 'succeeded', count: 120 },
      { task: 'servicenow.approval.check', outcome: 'failed', code: 'timeout', count: 3 },
    ],
    taskRejects: [],
    leasesLost: 0,
    policyDenials: [],
    tokenRequests: [],
    instanceThrottled: 0,
    logLinesLost: 0,
  },
};
