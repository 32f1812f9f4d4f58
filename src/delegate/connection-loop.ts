import { DelegateError } from '../kit/errors.ts';
import { sleep, type Clock } from '../kit/time.ts';
import type { Logger } from '../observability/logger.ts';
import { afterClose } from '../protocol/close-codes.ts';
import type { Drain } from '../protocol/messages.ts';
import { failuresAfter, setbackOf, waitMs, type Setback } from './pace.ts';
import type { Session, SessionEnd } from './session.ts';

export interface ConnectionLoopOptions {
  /** One attempt: enrol if needed, dial, hello, welcome. Rejects with whatever stood in the way. */
  open: (signal: AbortSignal) => Promise<Session>;
  /** The manager no longer accepts the identity: the next attempt should enrol again, if it can. */
  onNotAuthenticated: () => void;
  onSession: (session: Session | undefined) => void;
  clock: Clock;
  random: () => number;
  log: Logger;
}

type Turn = { is: 'ended'; end: SessionEnd } | { is: 'drain'; drain: Drain };

/**
 * Keeps one session open, for ever: opens, waits for its end, judges why, waits, opens again. A drain opens the
 * next session before it closes the old one. Ends only by its signal, or when another process took the identity.
 */
export async function runConnectionLoop(options: ConnectionLoopOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, log } = options;
  let failures = 0;
  let previous: Session | undefined;
  for (;;) {
    const opened = await openWithBackoff(options, failures, signal);
    const session = opened.session;
    failures = opened.failures;
    previous?.stopCredit();
    options.onSession(session);
    log.info({ sessionId: session.sessionId }, 'session open');
    await previous?.leave('moved to another session');
    previous = undefined;

    const turn = await Promise.race<Turn>([
      session.ended.then((end) => ({ is: 'ended', end })),
      session.drainAsked.then((drain) => ({ is: 'drain', drain })),
    ]);
    if (turn.is === 'drain') {
      const { reason, reconnectAfterMs } = turn.drain;
      log.info({ why: reason, reconnectAfterMs }, 'the manager asks to move');
      await sleep(clock, random() * reconnectAfterMs, signal);
      previous = session;
      continue;
    }
    options.onSession(undefined);
    signal.throwIfAborted();
    const { code, reason } = turn.end;
    log.warn({ code, why: reason }, 'session ended');
    failures = failuresAfter(turn.end, failures);
    await pause(options, { next: afterClose(code), retryAfterMs: undefined }, failures, signal);
    failures += 1;
  }
}

async function openWithBackoff(
  options: ConnectionLoopOptions,
  failuresBefore: number,
  signal: AbortSignal,
): Promise<{ session: Session; failures: number }> {
  for (let failures = failuresBefore; ; failures += 1) {
    try {
      return { session: await options.open(signal), failures };
    } catch (thrown) {
      signal.throwIfAborted();
      options.log.warn({ err: thrown }, 'no session');
      await pause(options, setbackOf(thrown), failures, signal);
    }
  }
}

async function pause(
  options: ConnectionLoopOptions,
  setback: Setback,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  if (setback.next === 'stay-away') throw superseded();
  if (setback.next === 'new-token') options.onNotAuthenticated();
  const ms = waitMs(setback, failures, options.random);
  const loud = setback.next === 'slowest-pace' ? 'error' : 'info';
  options.log[loud]({ waitMs: Math.round(ms), next: setback.next }, 'trying again later');
  await sleep(options.clock, ms, signal);
}

function superseded(): DelegateError {
  return new DelegateError(
    'superseded',
    'Another process with the identity of this state folder is connected.',
    {
      category: 'refused',
      hint: 'Give each delegate a state folder of its own. This one stops, so that the two do not fight.',
    },
  );
}
