import { pino } from 'pino';
import type { Journal } from '../../src/delegate/journal/journal.ts';
import { Session } from '../../src/delegate/connection/session.ts';
import { Workload, type WorkloadOptions } from '../../src/delegate/tasks/workload.ts';
import { Redactor } from '../../src/kit/secret.ts';
import { noMetrics } from '../../src/observability/metrics.ts';
import { tracingOff } from '../../src/observability/tracing/tracer.ts';
import type { DelegateIdentity, Hello, Welcome } from '../../src/protocol/messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { memoryAudit } from '../support/memory-audit.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import { MemoryTransport } from '../support/memory-transport.ts';
import { welcome } from '../support/scripted-manager.ts';
import { within } from '../support/until.ts';
import { resultOf } from './frames.ts';
import { Workshop } from './work.ts';
import { ROOMY } from '../support/outbox-limits.ts';

export const HEARTBEAT_MS = 10_000;
export const LEASE_MS = 30_000;
const IDENTITY: DelegateIdentity = resultOf().delegate;

/** One workload and its sessions, with a manual clock and no network. */
export class Room {
  readonly clock: ManualClock;
  readonly workshop = new Workshop();
  /** Log lines, JSON. */
  readonly logged: string[] = [];
  readonly log = pino({ level: 'info' }, { write: (line) => void this.logged.push(line) });
  readonly abort = new AbortController();
  readonly journal: Journal;
  readonly workload: Workload;
  /** Resolves when the workload has taken up what the journal held. */
  readonly recovered: Promise<void>;

  constructor({
    journal = memoryJournal(),
    clock = new ManualClock(),
    ...changes
  }: Partial<Omit<WorkloadOptions, 'clock'>> & { journal?: Journal; clock?: ManualClock } = {}) {
    this.journal = journal;
    this.clock = clock;
    this.workload = new Workload({
      taskTypes: this.workshop.types,
      capacity: 4,
      outboxLimits: ROOMY,
      clock: this.clock,
      log: this.log,
      audit: memoryAudit(),
      metrics: noMetrics,
      tracer: tracingOff,
      redactor: new Redactor(),
      identity: () => IDENTITY,
      signatureRules: () => Promise.resolve({ keys: [], required: false, delegateId: IDENTITY.id }),
      ...changes,
    });
    this.recovered = this.workload.recover(this.journal);
  }

  dial(): { transport: MemoryTransport; opening: Promise<Session> } {
    const transport = new MemoryTransport();
    const { clock, workload, log } = this;
    const opening = Session.open({
      transport,
      workload,
      clock,
      log,
      metrics: noMetrics,
      signal: this.abort.signal,
      hello: () => this.#hello(),
      taskSigningKeys: () => Promise.resolve(),
      load: () => ({ running: 0, queued: 0, eventLoopDelayMs: 0, rssBytes: 1 }),
    });
    return { transport, opening };
  }

  async open(changes: Partial<Welcome> = {}): Promise<{ transport: MemoryTransport; session: Session }> {
    const { transport, opening } = this.dial();
    transport.arrive(welcome({ heartbeatMs: HEARTBEAT_MS, leaseMs: LEASE_MS, ...changes }));
    const session = await within('the session to open', opening);
    this.workload.onSlotFree = () => session.raiseCredit();
    return { transport, session };
  }

  #hello(): Hello {
    return {
      type: 'hello',
      delegate: IDENTITY,
      tags: [],
      tasks: [],
      capabilities: [],
      capacity: 4,
      running: this.workload.running(),
      unacknowledged: this.workload.outbox.refs(),
      policyHash: null,
    };
  }
}
