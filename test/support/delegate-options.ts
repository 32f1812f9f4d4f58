import { pino } from 'pino';
import type { DelegateOptions } from '../../src/delegate/delegate.ts';
import { Redactor, Secret } from '../../src/kit/secret.ts';
import { systemClock } from '../../src/kit/time.ts';
import { noMetrics } from '../../src/observability/metrics.ts';
import { tracingOff } from '../../src/observability/tracing/tracer.ts';
import { plainSend } from '../delegate/plain-send.ts';
import { memoryAudit } from './memory-audit.ts';
import { dialerWith } from './dialer.ts';
import { memoryJournal } from './memory-journal.ts';
import { ROOMY } from './outbox-limits.ts';

type Own = 'managerUrl' | 'stateDir' | 'taskTypes';

/** A delegate as most tests want it: silent, with a journal in memory, and back at once after a close. */
export function delegateOptions(
  own: Pick<DelegateOptions, Own> & Partial<Omit<DelegateOptions, Own>>,
): DelegateOptions {
  return {
    enrolmentToken: new Secret('enrolment-token'),
    name: 'eu-1',
    tags: [],
    version: '26.11.90100',
    keyRotationMs: 0,
    forgetTokens: () => {},
    capacity: 4,
    taskResources: { [Symbol.asyncDispose]: () => Promise.resolve() },
    capabilities: [],
    taskSigningKeys: undefined,
    requireSignedTasks: false,
    policyHash: null,
    shutdownGraceMs: 25_000,
    outboxLimits: ROOMY,
    openJournal: () => Promise.resolve(memoryJournal()),
    audit: memoryAudit(),
    metrics: noMetrics,
    eventLoopDelayMs: () => 0,
    tracer: tracingOff,
    send: plainSend,
    dialer: dialerWith(),
    redactor: new Redactor(),
    clock: systemClock,
    random: () => 0,
    log: pino({ level: 'silent' }),
    ...own,
  };
}
