import type { TaskType } from '../connectors/connector.ts';
import type { Dialer } from '../http/dialer.ts';
import { wrap } from '../kit/errors.ts';
import type { HttpSend } from '../kit/http-exchange.ts';
import type { Redactor } from '../kit/secret.ts';
import type { Clock } from '../kit/time.ts';
import type { AuditLog } from '../observability/audit/trail.ts';
import type { Readiness } from '../observability/health.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { DelegateState } from '../observability/status.ts';
import type { Tracer } from '../observability/tracing/tracer.ts';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import type { DelegateIdentity, Heartbeat, Hello } from '../protocol/messages.ts';
import { runConnectionLoop } from './connection/connection-loop.ts';
import { ConnectionWatch } from './connection/connection-watch.ts';
import { Credentials, type EnrolmentToken } from './connection/credentials.ts';
import { KeyRotation } from './connection/key-rotation.ts';
import { MANAGER_REFUSAL_ERRORS } from './errors.ts';
import { abortWork, finishLastWork } from './last-work.ts';
import { snapshotOf } from './snapshot.ts';
import type { Identity } from './state/identity.ts';
import { rotationRequest } from './state/rotation-request.ts';
import type { Journal } from './journal/journal.ts';
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
export type Phase = DelegateState['phase']['is'];

export interface DelegateOptions {
  managerUrl: string;
  enrolmentToken: EnrolmentToken;
  /** Greatest age of the delegate's key; 0 for any. */
  keyRotationMs: number;
  name: string;
  tags: readonly string[];
  version: string;
  stateDir: string;
  capacity: number;
  taskTypes: readonly TaskType[];
  /** What tasks stand on. Ended while the folder is still this process's own: a last token may have to be kept there. */
  taskResources: AsyncDisposable;
  capabilities: readonly string[];
  /** From the operator's own file, as it is now; they replace all that the manager gives. */
  taskSigningKeys: (() => Promise<readonly Ed25519PublicJwk[]>) | undefined;
  requireSignedTasks: boolean;
  /** Of the customer's policy file; null without one. */
  policyHash: string | null;
  /** Time for running tasks to end by themselves at a stop. */
  shutdownGraceMs: number;
  outboxLimits: OutboxLimits;
  /** What tasks have got from token servers and keep for the next is to be forgotten: the manager has revoked this delegate. */
  forgetTokens: () => void;
  /** Called once the state folder is this process's own. `run` closes what it is given. */
  openJournal: (identity: Identity) => Promise<Journal>;
  /** Opened once the state folder is this process's own, and closed by `run`. */
  audit: AuditLog;
  metrics: Metrics;
  /** How late the event loop is at present, on an average. */
  eventLoopDelayMs: () => number;
  tracer: Tracer;
  /** For enrolment; tasks have their own client with their own rules. */
  send: HttpSend;
  /** For the connection to the manager. */
  dialer: Pick<Dialer, 'open'>;
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
  readonly #watch: ConnectionWatch;
  #phase: Phase = 'starting';
  #phaseSince: number;
  readonly #credentials: Credentials;
  readonly #keyRotation: KeyRotation;
  #session: Session | undefined;
  #isRevoked = false;
  #loop: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: DelegateOptions) {
    this.#options = options;
    this.#phaseSince = options.clock.now();
    this.#watch = new ConnectionWatch(options);
    this.#workload = new Workload({
      taskTypes: options.taskTypes,
      capacity: options.capacity,
      outboxLimits: options.outboxLimits,
      clock: options.clock,
      log: options.log,
      audit: options.audit,
      metrics: options.metrics,
      tracer: options.tracer,
      redactor: options.redactor,
      identity: () => this.#describe(),
      signatureRules: () => this.#signatureRules(),
    });
    this.#workload.onSlotFree = () => this.#session?.raiseCredit();
    this.#credentials = new Credentials(options);
    this.#keyRotation = new KeyRotation({
      credentials: this.#credentials,
      request: rotationRequest(options.stateDir),
      maxAgeMs: options.keyRotationMs,
      changed: () => this.#onNewKey(),
      move: () => this.#session?.move('the delegate has a new key'),
      clock: options.clock,
      log: options.log,
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** What the configured manager calls this delegate; empty before the enrolment with it. */
  get delegateId(): string {
    return this.#credentials.enrolment?.delegateId ?? '';
  }

  readiness(): Readiness {
    const { phase, readiness } = this.snapshot();
    const { ready, reason, checks } = readiness;
    return { ready, phase: phase.is, ...(reason === null ? {} : { reason }), checks };
  }

  /** The state as it is now, for whoever watches. */
  snapshot(): DelegateState {
    const { managerUrl, capacity, clock } = this.#options;
    // One that has ended is kept until the next, where a move to that is under way.
    const session = this.#session?.isOpen === true ? this.#session : undefined;
    return snapshotOf({
      phase: this.#phase,
      phaseSince: this.#phaseSince,
      isRevoked: this.#isRevoked,
      managerUrl,
      session,
      watch: this.#watch,
      credentials: this.#credentials,
      workload: this.#workload,
      capacity,
      clock,
    });
  }

  /** Runs until `stop` or a failure that trying again can't mend. */
  async run(): Promise<void> {
    try {
      await this.#runInStateFolder();
    } catch (thrown) {
      if (this.#phase !== 'failed' && this.#end.signal.aborted) return await this.#stopping;
      this.#setPhase('failed');
      throw wrap(thrown);
    }
  }

  /** The folder is this process's own from before the first look into it until nothing of a task is under way. */
  async #runInStateFolder(): Promise<void> {
    const { clock, log, stateDir, openJournal } = this.#options;
    const { signal } = this.#end;
    await using lock = await lockState(stateDir, { clock, log, signal });
    await using audit = this.#options.audit;
    await using _resources = this.#options.taskResources;
    const identity = await this.#credentials.load();
    await audit.open();
    await using journal = await openJournal(identity);
    await using _rotation = this.#keyRotation;
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
        onNotAuthenticated: (next) => this.#credentials.refused(next),
        onRevoked: () => this.#onRevoked(),
        onSession: (session) => this.#onSession(session),
        onFailure: (failure) => this.#watch.failed(failure),
        onWait: (ms) => this.#watch.waiting(ms),
        clock,
        random,
        log,
      },
      this.#end.signal,
    );
  }

  async #giveUp(reason: string): Promise<void> {
    this.#workload.drain();
    await abortWork({ workload: this.#workload, reason, clock: this.#options.clock });
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
    try {
      await finishLastWork({ workload: this.#workload, graceMs, reason, clock, log });
    } finally {
      await this.#disconnect(reason);
      this.#setPhase('stopped');
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    const { managerUrl, dialer, clock, log, version, audit } = this.#options;
    const credentials = this.#credentials;
    this.#watch.attempting();
    if (credentials.mustEnrol) {
      this.#setPhase('enrolling');
      const delegateId = await credentials.enrol(signal);
      await audit.record({ event: 'enrolled', managerUrl, delegateId });
    }
    const { enrolment, tokenAheadMs } = credentials;
    if (enrolment === undefined) throw new Error('the delegate connects before it has enrolled');
    this.#setPhase(this.#session === undefined ? 'connecting' : 'ready');
    const token = await credentials.connectToken(enrolment);
    const userAgent = `servicenow-delegate/${version}`;
    let transport: Transport;
    try {
      transport = await dial({ managerUrl, dialer, token, userAgent, signal, clock, tokenAheadMs });
    } catch (thrown) {
      credentials.learnTimeFrom(thrown);
      throw thrown;
    }
    return await Session.open({
      transport,
      workload: this.#workload,
      clock,
      log,
      metrics: this.#options.metrics,
      signal,
      hello: () => this.#hello(),
      load: () => this.#load(),
      taskSigningKeys: (signed) => this.#onTaskSigningKeys(signed),
    });
  }

  #onSession(session: Session | undefined): void {
    this.#session = session;
    this.#setPhase(session === undefined ? 'connecting' : 'ready');
    if (session === undefined) return this.#keyRotation.pause();
    this.#isRevoked = false;
    this.#credentials.accepted();
    this.#keyRotation.begin();
    this.#watch.opened(session);
    void this.#audit(session);
    if (this.#phase === 'draining') session.announceDraining('the delegate is leaving');
  }

  /** From the welcome to the end of the connection. Never rejects. */
  async #audit({ sessionId, ended }: Session): Promise<void> {
    const { audit, managerUrl } = this.#options;
    await audit.record({ event: 'connected', managerUrl, delegateId: this.delegateId, sessionId });
    const { code, reason } = await ended;
    await audit.record({ event: 'disconnected', sessionId, code, why: reason });
  }

  #onNewKey(): void {
    const { keyId, previousKey, nextKey } = this.#credentials.identity;
    // After a key that the manager did not know, that one is the next again.
    const oldKey = (previousKey ?? nextKey)?.keyId ?? null;
    void this.#options.audit.record({ event: 'key-rotated', oldKey, newKey: keyId });
  }

  /** No call goes out any more in the manager's name. What comes of the tasks waits, as any result, for its return. */
  #onRevoked(): void {
    const { log, audit, managerUrl, forgetTokens } = this.#options;
    if (!this.#isRevoked) {
      void audit.record({ event: 'revoked', managerUrl });
      const tasks = this.#workload.waitingFor();
      log.warn(
        { tasks, hint: MANAGER_REFUSAL_ERRORS.revoked.remedy },
        'the manager has revoked this delegate',
      );
    }
    this.#isRevoked = true;
    this.#workload.stopAll('revoked', 'the manager has revoked this delegate');
    forgetTokens();
  }

  /** Those of the operator's own file stand above whatever a manager says. */
  async #onTaskSigningKeys(signed: string): Promise<void> {
    if (this.#options.taskSigningKeys === undefined) await this.#credentials.adoptTaskSigningKeys(signed);
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

  #load(): Heartbeat['load'] {
    return {
      running: this.#workload.running().length,
      // A task starts as soon as it is accepted: credit never exceeds the free slots.
      queued: 0,
      eventLoopDelayMs: Math.round(this.#options.eventLoopDelayMs()),
      rssBytes: process.memoryUsage.rss(),
    };
  }

  #describe(): DelegateIdentity {
    const { name, version } = this.#options;
    const { instanceId } = this.#credentials.identity;
    return { id: this.delegateId, name, instanceId, version };
  }

  async #signatureRules(): Promise<SignatureRules> {
    const { taskSigningKeys, requireSignedTasks } = this.#options;
    return {
      keys: (await taskSigningKeys?.()) ?? this.#credentials.taskSigningKeys,
      required: requireSignedTasks,
      delegateId: this.delegateId,
    };
  }

  #setPhase(phase: Phase): void {
    // A failure stays one, also when a stop is asked for while it is cleared up: `run` is to reject with it.
    if (this.#phase === 'failed' || phase === this.#phase || (isLast(this.#phase) && !isLast(phase))) return;
    this.#options.log.info({ from: this.#phase, to: phase }, 'phase');
    this.#phase = phase;
    this.#phaseSince = this.#options.clock.now();
  }
}

/** From here on only forward: a reconnect for the last results does not make a leaving delegate ready again. */
function isLast(phase: Phase): boolean {
  return phase === 'draining' || phase === 'stopped' || phase === 'failed';
}
