import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { TaskType } from '../connectors/connector.ts';
import { wrap, type DelegateError } from '../kit/errors.ts';
import type { HttpSend } from '../kit/http-exchange.ts';
import type { Redactor, Secret } from '../kit/secret.ts';
import { endsWithin, sleep, type Clock } from '../kit/time.ts';
import type { Readiness } from '../observability/health.ts';
import type { Logger } from '../observability/logger.ts';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { keyOf, type DelegateIdentity, type Heartbeat, type Hello } from '../protocol/messages.ts';
import { delegateError } from './errors.ts';
import { runConnectionLoop } from './connection/connection-loop.ts';
import { enrol } from './connection/enrol.ts';
import {
  loadIdentity,
  saveEnrolment,
  signConnectToken,
  type Enrolment,
  type Identity,
} from './state/identity.ts';
import type { Journal } from './journal/journal.ts';
import { ManagerRefusal } from './connection/manager-refusal.ts';
import type { OutboxLimits } from './tasks/outbox.ts';
import { Session } from './connection/session.ts';
import { lockState } from './state/state-lock.ts';
import type { SignatureRules } from './tasks/task-signature.ts';
import { dial, type Transport } from './connection/transport.ts';
import { Workload } from './tasks/workload.ts';

/**
 *   starting ─► enrolling ─► connecting ◄─► ready
 *                   ▲____________│            │        draining ─► stopped
 *                                             └───────────┘
 *   failed: trying again can't help. No enrolment token, an unusable state folder, an identity that another has.
 */
export type Phase = 'starting' | 'enrolling' | 'connecting' | 'ready' | 'draining' | 'stopped' | 'failed';

/**
 * Time after the grace for aborted tasks to end, and as long again for results to be acknowledged. With the default
 * grace, and a second for the close, a stop stays below the 30 s that Kubernetes gives a pod.
 */
export const FLUSH_WITHIN_MS = 1_500;
/** How often a stop says what it still waits for. */
const STILL_WAITING_EVERY_MS = 5_000;
/** Connect tokens refused in a row (401 or 4401), each a new one, before the identity itself is taken for unknown. */
const REFUSED_BEFORE_ENROLLING = 2;
const NANOSECONDS_PER_MS = 1_000_000;

export interface DelegateOptions {
  managerUrl: string;
  enrolmentToken: Secret | undefined;
  name: string;
  tags: readonly string[];
  version: string;
  stateDir: string;
  capacity: number;
  taskTypes: readonly TaskType[];
  /** What tasks stand on. Ended while the folder is still this process's own: a last token may have to be kept there. */
  taskResources: AsyncDisposable;
  capabilities: readonly string[];
  /** From the operator's own file; they replace those given at enrolment. */
  taskSigningKeys: readonly Ed25519PublicJwk[] | undefined;
  requireSignedTasks: boolean;
  /** Of the customer's policy file; null without one. */
  policyHash: string | null;
  /** Time for running tasks to end by themselves at a stop. */
  shutdownGraceMs: number;
  outboxLimits: OutboxLimits;
  /** Called once the state folder is this process's own. `run` closes what it is given. */
  openJournal: (identity: Identity) => Promise<Journal>;
  /** For enrolment; tasks have their own client with their own rules. */
  send: HttpSend;
  redactor: Redactor;
  clock: Clock;
  random: () => number;
  log: Logger;
}

/** The delegate: identity, connection, tasks. `run` resolves when it has stopped, and rejects when it failed. */
export class Delegate {
  readonly #options: DelegateOptions;
  readonly #workload: Workload;
  readonly #end = new AbortController();
  readonly #loopDelay: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 });
  #phase: Phase = 'starting';
  #identity: Identity | undefined;
  #session: Session | undefined;
  #connectsRefused = 0;
  /** The manager's clock less this machine's, milliseconds, as far as it was the reason of a refusal. */
  #managerAheadMs = 0;
  #loop: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: DelegateOptions) {
    this.#options = options;
    this.#workload = new Workload({
      taskTypes: options.taskTypes,
      capacity: options.capacity,
      outboxLimits: options.outboxLimits,
      clock: options.clock,
      log: options.log,
      redactor: options.redactor,
      identity: () => this.#describe(),
      signatureRules: () => this.#signatureRules(),
    });
    this.#workload.onSlotFree = () => this.#session?.raiseCredit();
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** What the configured manager calls this delegate; empty before the enrolment with it. */
  get delegateId(): string {
    return this.#knownEnrolment()?.delegateId ?? '';
  }

  readiness(): Readiness {
    const phase = this.#phase;
    if (phase === 'draining') return { ready: false, phase, reason: 'the delegate is leaving' };
    if (phase !== 'ready') return { ready: false, phase, reason: 'no session with the manager' };
    if (this.#session?.healthy !== true) {
      return { ready: false, phase, reason: 'the manager does not acknowledge heartbeats' };
    }
    if (!this.#workload.recording) return { ready: false, phase, reason: 'the journal cannot be written' };
    return { ready: true, phase };
  }

  /** Runs until `stop` or a failure that trying again can't mend. */
  async run(): Promise<void> {
    this.#loopDelay.enable();
    try {
      await this.#runInStateFolder();
    } catch (thrown) {
      if (this.#phase !== 'failed' && this.#end.signal.aborted) return await this.#stopping;
      this.#setPhase('failed');
      throw wrap(thrown);
    } finally {
      this.#loopDelay.disable();
    }
  }

  /** The folder is this process's own from before the first look into it until nothing of a task is under way. */
  async #runInStateFolder(): Promise<void> {
    const { clock, log, stateDir, redactor, openJournal } = this.#options;
    const { signal } = this.#end;
    const protect = (value: string): unknown => redactor.register(value, { pinned: true, origins: [] });
    await using lock = await lockState(stateDir, { clock, log, signal });
    await using _resources = this.#options.taskResources;
    this.#identity = await loadIdentity(stateDir, protect, log);
    // Trying again can't bring a token that nobody gave.
    if (this.#knownEnrolment() === undefined && this.#options.enrolmentToken === undefined) {
      throw noEnrolmentToken(this.#options.managerUrl);
    }
    await using journal = await openJournal(this.#identity);
    await this.#workload.recover(journal);
    signal.throwIfAborted();
    this.#loop = this.#connect();
    try {
      await Promise.race([this.#loop, lock.lost.then((error) => Promise.reject(error))]);
    } catch (thrown) {
      if (signal.aborted) return await this.#stopping;
      this.#setPhase('failed');
      await this.#giveUp('the delegate failed');
      throw thrown;
    }
  }

  #connect(): Promise<void> {
    const { clock, random, log } = this.#options;
    return runConnectionLoop(
      {
        open: (signal) => this.#open(signal),
        onNotAuthenticated: (next) => {
          this.#connectsRefused += next === 'enrol-again' ? REFUSED_BEFORE_ENROLLING : 1;
        },
        onSession: (session) => this.#onSession(session),
        clock,
        random,
        log,
      },
      this.#end.signal,
    );
  }

  async #giveUp(reason: string): Promise<void> {
    this.#workload.drain();
    this.#workload.stopAll(reason);
    await endsWithin(this.#options.clock, FLUSH_WITHIN_MS, this.#workload.idle());
    await this.#disconnect(reason);
  }

  /** Ends the session, and the loop that would open the next. */
  async #disconnect(reason: string): Promise<void> {
    // First the loop's signal, so that it takes the end of this session for the last one.
    this.#end.abort(new Error(reason));
    await this.#session?.leave(reason);
    // It ends by the signal, and `run` has told of any other end.
    await this.#loop?.catch(() => {});
  }

  /**
   * Leaves in order: no more credit; heartbeats go on while tasks end within `graceMs`; the rest is aborted and
   * reported; results are flushed; goodbye. Resolves when the connection has ended; `run` resolves when all has.
   * Idempotent.
   */
  stop(reason: string, graceMs: number = this.#options.shutdownGraceMs): Promise<void> {
    this.#stopping ??= this.#stop(reason, graceMs);
    return this.#stopping;
  }

  async #stop(reason: string, graceMs: number): Promise<void> {
    const { clock, log } = this.#options;
    this.#setPhase('draining');
    this.#workload.drain();
    this.#session?.announceDraining(reason);
    const reporting = new AbortController();
    void this.#sayWhatIsWaitedFor(reporting.signal);
    try {
      if (!(await endsWithin(clock, graceMs, this.#workload.idle()))) {
        log.warn({ tasks: this.#workload.waitingFor() }, 'the grace is over; aborting what still runs');
        this.#workload.stopAll(reason);
        if (!(await endsWithin(clock, FLUSH_WITHIN_MS, this.#workload.idle()))) {
          log.error({ tasks: this.#workload.waitingFor() }, 'tasks did not obey their signal');
        }
      }
      // Without a session, too: one may come back.
      if (!(await endsWithin(clock, FLUSH_WITHIN_MS, this.#workload.outbox.emptied()))) {
        const results = this.#workload.outbox.refs().map(keyOf);
        if (this.#workload.recording) {
          log.warn({ results }, 'results were not acknowledged; the next start sends them again');
        } else log.error({ results }, 'results were not acknowledged, and the disk has not taken them');
      }
    } finally {
      reporting.abort();
      await this.#disconnect(reason);
      this.#setPhase('stopped');
    }
  }

  async #sayWhatIsWaitedFor(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        await sleep(clock, STILL_WAITING_EVERY_MS, signal);
      } catch {
        return;
      }
      log.info(
        {
          tasks: this.#workload.waitingFor(),
          results: this.#workload.outbox.size,
          oldestResultAt: this.#workload.outbox.oldestFinishedAt,
        },
        'still waiting before the stop',
      );
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    const { managerUrl, clock, log, version, redactor } = this.#options;
    const enrolment = await this.#enrolled(signal);
    const identity = this.#knownIdentity();
    this.#setPhase(this.#session === undefined ? 'connecting' : 'ready');
    const tokenAheadMs = this.#managerAheadMs;
    const token = await signConnectToken(identity, enrolment, clock.now() + tokenAheadMs);
    redactor.register(token, { origins: [new URL(managerUrl).origin] });
    const userAgent = `servicenow-delegate/${version}`;
    let transport: Transport;
    try {
      transport = await dial({ managerUrl, token, userAgent, signal, clock, tokenAheadMs });
    } catch (thrown) {
      // A token expires by the manager's clock. To wait until somebody sets this one right would be an outage.
      if (thrown instanceof ManagerRefusal && thrown.managerDateMs !== undefined) {
        this.#managerAheadMs = thrown.managerDateMs - clock.now();
      }
      throw thrown;
    }
    return await Session.open({
      transport,
      workload: this.#workload,
      clock,
      log,
      signal,
      hello: () => this.#hello(),
      load: () => this.#load(),
    });
  }

  async #enrolled(signal: AbortSignal): Promise<Enrolment> {
    const { managerUrl, enrolmentToken, name, version, send, stateDir, clock, log } = this.#options;
    const identity = this.#knownIdentity();
    const known = this.#knownEnrolment();
    const mayEnrolAgain = this.#connectsRefused >= REFUSED_BEFORE_ENROLLING && enrolmentToken !== undefined;
    if (known !== undefined && !mayEnrolAgain) return known;
    if (enrolmentToken === undefined) throw noEnrolmentToken(managerUrl);
    this.#setPhase('enrolling');
    // Before the answer: a token that is used up must not keep away an identity that the manager knows again.
    this.#connectsRefused = 0;
    const response = await enrol(
      send,
      managerUrl,
      enrolmentToken,
      { name, instanceId: identity.instanceId, publicKey: identity.publicJwk, version },
      clock,
      signal,
    );
    const enrolled = await saveEnrolment(stateDir, identity, managerUrl, response, log);
    this.#identity = enrolled;
    log.info({ delegateId: response.delegateId }, 'enrolled');
    return enrolled.enrolment;
  }

  #onSession(session: Session | undefined): void {
    this.#session = session;
    this.#setPhase(session === undefined ? 'connecting' : 'ready');
    if (session === undefined) return;
    this.#connectsRefused = 0;
    if (this.#phase === 'draining') session.announceDraining('the delegate is leaving');
  }

  #hello(): Hello {
    const { tags, taskTypes, capabilities, capacity } = this.#options;
    return {
      type: 'hello',
      delegate: { ...this.#describe(), runtime: `node ${process.versions.node}` },
      tags: [...tags],
      tasks: taskTypes.map(({ name, version, effect }) => ({ name, version, effect })),
      capabilities: [...capabilities],
      capacity,
      running: this.#workload.running(),
      unacknowledged: this.#workload.outbox.refs(),
      policyHash: this.#options.policyHash,
    };
  }

  #describe(): DelegateIdentity {
    const { name, version } = this.#options;
    const { instanceId } = this.#knownIdentity();
    return { id: this.delegateId, name, instanceId, version };
  }

  #load(): Heartbeat['load'] {
    const meanNs = this.#loopDelay.mean;
    this.#loopDelay.reset();
    return {
      running: this.#workload.running().length,
      // A task starts as soon as it is accepted: credit never exceeds the free slots.
      queued: 0,
      eventLoopDelayMs: Number.isFinite(meanNs) ? Math.round(meanNs / NANOSECONDS_PER_MS) : 0,
      rssBytes: process.memoryUsage.rss(),
    };
  }

  #signatureRules(): SignatureRules {
    const { taskSigningKeys, requireSignedTasks } = this.#options;
    return {
      keys: taskSigningKeys ?? this.#identity?.enrolment?.taskSigningKeys ?? [],
      required: requireSignedTasks,
      delegateId: this.delegateId,
    };
  }

  /** Undefined before the first enrolment with the manager that is configured now. */
  #knownEnrolment(): Enrolment | undefined {
    const enrolment = this.#identity?.enrolment;
    return enrolment?.managerUrl === this.#options.managerUrl ? enrolment : undefined;
  }

  #knownIdentity(): Identity {
    if (this.#identity === undefined) throw new Error('the identity is used before it was loaded');
    return this.#identity;
  }

  #setPhase(phase: Phase): void {
    // A failure stays one, also when a stop is asked for while it is cleared up: `run` is to reject with it.
    if (this.#phase === 'failed' || phase === this.#phase || (isLast(this.#phase) && !isLast(phase))) return;
    this.#options.log.info({ from: this.#phase, to: phase }, 'phase');
    this.#phase = phase;
  }
}

/** From here on only forward: a reconnect for the last results does not make a leaving delegate ready again. */
function isLast(phase: Phase): boolean {
  return phase === 'draining' || phase === 'stopped' || phase === 'failed';
}

function noEnrolmentToken(managerUrl: string): DelegateError {
  return delegateError('enrolment-token-missing', `This delegate is not enrolled with ${managerUrl}.`);
}
