import type { ReadinessCheck } from '../observability/status.ts';
import type { Phase } from './delegate.ts';
import type { Session } from './connection/session.ts';
import type { Workload } from './tasks/workload.ts';

export interface ReadinessView {
  readonly phase: Phase;
  readonly isRevoked: boolean;
  readonly session: Pick<Session, 'healthy' | 'credit' | 'paused'> | undefined;
  readonly workload: Pick<Workload, 'unwritable' | 'outbox'>;
  /** Slots that are taken. */
  readonly running: number;
}

const NO_SESSION = 'no session with the manager';

/**
 * Whether the manager can use this delegate, check by check, what matters most first.
 *
 * All slots taken is ready: a delegate at work is not to be taken for one that is broken. So is one that the manager has
 * paused: it does what it is told, nobody here could do better, and a manager must not be able to stop the rolling update
 * of its customers by a frame.
 */
export function readinessChecks(view: ReadinessView): ReadinessCheck[] {
  const { phase, isRevoked, session, workload } = view;
  const connected = session !== undefined && (phase === 'ready' || phase === 'draining');
  return [
    servingCheck(phase),
    check('accepted', !isRevoked, 'the manager has revoked this delegate'),
    check('connected', connected, NO_SESSION),
    check(
      'heartbeats',
      connected && session.healthy,
      connected ? 'the manager does not acknowledge heartbeats' : NO_SESSION,
    ),
    check('journal', workload.unwritable !== 'journal', 'the journal cannot be written'),
    check('audit', workload.unwritable !== 'audit log', 'the audit log cannot be written'),
    creditCheck(view),
  ];
}

function servingCheck(phase: Phase): ReadinessCheck {
  const hasEnded = phase === 'stopped' || phase === 'failed';
  return check(
    'serving',
    phase !== 'draining' && !hasEnded,
    hasEnded ? 'the delegate has ended' : 'the delegate is leaving',
  );
}

function creditCheck({ session, running, workload }: ReadinessView): ReadinessCheck {
  const name = 'credit';
  if (session === undefined) return { name, ok: false, detail: NO_SESSION };
  // Credit that was granted before is still there, and tasks may still run; each one that comes is refused.
  if (workload.outbox.room === 0) {
    return { name, ok: false, detail: 'too many results wait for acknowledgement' };
  }
  if (session.paused) return { name, ok: true, detail: 'the manager has paused this delegate' };
  if (session.credit > 0) return { name, ok: true };
  if (running > 0) return { name, ok: true, detail: 'every slot is taken' };
  return { name, ok: false, detail: 'no credit is granted' };
}

/** @param detail what is missing if it is not */
function check(name: ReadinessCheck['name'], ok: boolean, detail: string): ReadinessCheck {
  return ok ? { name, ok } : { name, ok, detail };
}
