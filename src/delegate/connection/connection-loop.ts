import { DelegateError, wrap } from '../../kit/errors.ts';
import { sleep, type Clock } from '../../kit/time.ts';
import type { Logger } from '../../observability/logger.ts';
import { afterClose, CloseCode } from '../../protocol/close-codes.ts';
import { MAX_RECONNECT_AFTER_MS } from '../../protocol/limits.ts';
import { delegateError } from '../errors.ts';
import { failuresAfter, isRevocation, setbackOf, waitMs, type Setback } from './pace.ts';
import { SessionNotOpened, type Session } from './session.ts';
import type { CloseInfo } from './transport.ts';

/** What the loop needs of a session. It knows nothing of frames, tasks and sockets. */
export type OpenSession = Pick<
  Session,
  'sessionId' | 'lastedMs' | 'ended' | 'drainAsked' | 'retire' | 'leave'
>;

export interface ConnectionLoopOptions<S extends OpenSession> {
  /** One attempt: enrol if needed, dial, hello, welcome. Rejects with whatever stood in the way. */
  open: (signal: AbortSignal) => Promise<S>;
  /** The manager did not accept the token of this attempt, or the identity behind it. */
  onNotAuthenticated: (next: 'new-token' | 'enrol-again') => void;
  onSession: (session: S | undefined) => void;
  /** The manager wants nothing more of this delegate, for as long as it says so. */
  onRevoked: () => void;
  /** An attempt has failed. */
  onFailure: (failure: ConnectFailure) => void;
  /** The next attempt begins after so many milliseconds, if not before. */
  onWait: (ms: number) => void;
  clock: Clock;
  random: () => number;
  log: Logger;
}

/** Why an attempt failed, for whoever watches. */
export interface ConnectFailure {
  /** An error code; `not-welcomed` where the connection ended before the welcome. */
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** Of an attempt that came as far as a connection. */
export const NOT_WELCOMED = 'not-welcomed';

type Waiting = Omit<ConnectionLoopOptions<OpenSession>, 'open' | 'onSession'>;

/**
 * Keeps one session open, for ever: opens, waits for its end, judges why, waits, opens again. A drain opens the
 * next session before it closes the old one. Ends only by its signal, or when another process took the identity.
 */
export async function runConnectionLoop<S extends OpenSession>(
  options: ConnectionLoopOptions<S>,
  signal: AbortSignal,
): Promise<void> {
  const { log } = options;
  let failures = 0;
  let previous: S | undefined;
  for (;;) {
    const opened = await openWithBackoff(options, failures, previous, signal);
    const { session } = opened;
    failures = opened.failures;
    options.onSession(session);
    log.info({ sessionId: session.sessionId }, 'session open');
    // A stop between the welcome and this line has seen no session to leave.
    if (signal.aborted) await session.leave('the delegate stops');
    await previous?.retire('moved to another session');
    previous = undefined;

    const end = await endUnlessMoved(session, options, signal);
    failures = failuresAfter(session.lastedMs, failures);
    if (end === undefined) {
      previous = session;
      continue;
    }
    options.onSession(undefined);
    signal.throwIfAborted();
    const { code, reason } = end;
    log.warn({ code, why: reason }, 'session ended');
    if (code === CloseCode.Revoked) options.onRevoked();
    await pause(options, { next: afterClose(code), retryAfterMs: undefined }, failures, signal);
    failures += 1;
  }
}

/** The session's end; undefined if the manager asked it to move, and the time has come with the session still open. */
async function endUnlessMoved(
  session: OpenSession,
  { clock, random, log }: Waiting,
  signal: AbortSignal,
): Promise<CloseInfo | undefined> {
  const drain = await Promise.race([session.ended.then(() => undefined), session.drainAsked]);
  if (drain === undefined) return await session.ended;
  const { reason } = drain;
  const reconnectAfterMs = Math.min(drain.reconnectAfterMs, MAX_RECONNECT_AFTER_MS);
  log.info({ why: reason, reconnectAfterMs }, 'the manager asks to move');
  return await endWithin(session, random() * reconnectAfterMs, clock, signal);
}

/** The session's end, if it comes within `ms` milliseconds. */
async function endWithin(
  session: OpenSession,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<CloseInfo | undefined> {
  const ended = new AbortController();
  const late = sleep(clock, ms, AbortSignal.any([signal, ended.signal]));
  try {
    return await Promise.race([session.ended, late.then(() => undefined)]);
  } finally {
    ended.abort();
  }
}

async function openWithBackoff<S extends OpenSession>(
  options: ConnectionLoopOptions<S>,
  failuresBefore: number,
  previous: S | undefined,
  signal: AbortSignal,
): Promise<{ session: S; failures: number }> {
  let moving = previous;
  for (let failures = failuresBefore; ; failures += 1) {
    signal.throwIfAborted();
    try {
      return { session: await options.open(signal), failures };
    } catch (thrown) {
      signal.throwIfAborted();
      logFailure(options.log, thrown);
      options.onFailure(failureOf(thrown));
      if (isRevocation(thrown)) options.onRevoked();
      const ms = announcedWait(options, setbackOf(thrown), failures);
      if (moving === undefined) await sleep(options.clock, ms, signal);
      else if ((await endWithin(moving, ms, options.clock, signal)) !== undefined) {
        // Connected to nobody from here on: however long the move could have waited, this can't.
        moving = undefined;
        options.onSession(undefined);
        await pause(options, LOST, failures, signal);
      }
    }
  }
}

const LOST: Setback = { next: 'reconnect', retryAfterMs: undefined };

async function pause(
  options: Waiting,
  setback: Setback,
  failures: number,
  signal: AbortSignal,
): Promise<void> {
  await sleep(options.clock, announcedWait(options, setback, failures), signal);
}

/** Milliseconds. Throws if there is to be no next attempt. */
function announcedWait(options: Waiting, setback: Setback, failures: number): number {
  if (setback.next === 'stay-away') throw superseded();
  if (setback.next === 'new-token' || setback.next === 'enrol-again')
    options.onNotAuthenticated(setback.next);
  const ms = waitMs(setback, failures, options.random);
  const loud = setback.next === 'slowest-pace' ? 'error' : 'info';
  options.log[loud]({ waitMs: Math.round(ms), next: setback.next }, 'trying again later');
  options.onWait(ms);
  return ms;
}

/** What went wrong and what to do, in fields; a stack only for what nobody foresaw. */
function logFailure(log: Logger, thrown: unknown): void {
  if (thrown instanceof DelegateError) log.warn(thrown.toWire(), 'no session');
  else if (thrown instanceof SessionNotOpened) {
    log.warn({ code: thrown.end.code, why: thrown.end.reason }, 'no session');
  } else log.warn({ err: thrown }, 'no session');
}

function failureOf(thrown: unknown): ConnectFailure {
  if (thrown instanceof SessionNotOpened) {
    const { code, reason } = thrown.end;
    const message = `The connection ended before the welcome, with ${code}${reason === '' ? '' : `: ${reason}`}.`;
    return { code: NOT_WELCOMED, message, hint: undefined };
  }
  const { code, message, hint } = wrap(thrown);
  return { code, message, hint };
}

function superseded(): DelegateError {
  return delegateError('superseded', 'Another process with the identity of this state folder is connected.');
}
