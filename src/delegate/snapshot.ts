import { toTimestamp, type Clock } from '../kit/time.ts';
import { MAX_LISTED_TASKS, type DelegateState } from '../observability/status.ts';
import type { ConnectionWatch } from './connection/connection-watch.ts';
import type { Credentials } from './connection/credentials.ts';
import type { Session } from './connection/session.ts';
import type { Phase } from './delegate.ts';
import { readinessChecks } from './readiness.ts';
import type { Workload } from './tasks/workload.ts';

export interface SnapshotView {
  readonly phase: Phase;
  /** Milliseconds since the epoch. */
  readonly phaseSince: number;
  readonly isRevoked: boolean;
  readonly managerUrl: string;
  readonly session: Session | undefined;
  readonly watch: ConnectionWatch;
  readonly credentials: Pick<Credentials, 'enrolment' | 'key'>;
  readonly workload: Workload;
  readonly capacity: number;
  readonly clock: Clock;
}

/** The state of a delegate as it is now, derived and stored nowhere. */
export function snapshotOf(view: SnapshotView): DelegateState {
  const { phase, workload, credentials, session, watch } = view;
  const active = workload.waitingFor();
  const { outbox } = workload;
  const checks = readinessChecks({ ...view, running: active.length });
  const missing = checks.find(({ ok }) => !ok);
  const keySince = credentials.key?.sinceMs;
  return {
    phase: { is: phase, since: toTimestamp(view.phaseSince) },
    readiness: { ready: missing === undefined, reason: missing?.detail ?? null, checks },
    manager: {
      origin: new URL(view.managerUrl).origin,
      session: session === undefined ? null : sessionState(session, view.clock),
      lastFailure: watch.lastFailure ?? null,
      nextAttemptAt: watch.nextAttemptAt ?? null,
    },
    enrolment: {
      delegateId: credentials.enrolment?.delegateId ?? null,
      keyId: credentials.key?.id ?? null,
      keySince: keySince === undefined ? null : toTimestamp(keySince),
    },
    tasks: {
      capacity: view.capacity,
      credit: session?.credit ?? 0,
      running: active.length,
      list: active.slice(0, MAX_LISTED_TASKS),
    },
    outbox: {
      results: outbox.size,
      bytes: outbox.bytes,
      oldestFinishedAt: outbox.oldestFinishedAt ?? null,
      ...outbox.limits,
    },
    journal: { writable: workload.recording },
    audit: { writable: workload.auditing },
  };
}

function sessionState(session: Session, clock: Clock): DelegateState['manager']['session'] {
  return {
    id: session.sessionId,
    openedAt: toTimestamp(clock.now() - session.lastedMs),
    ageMs: Math.round(session.lastedMs),
    heartbeatRttMs: session.roundTripMs === undefined ? null : Math.round(session.roundTripMs),
    paused: session.paused,
  };
}
