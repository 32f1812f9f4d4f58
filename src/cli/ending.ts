import type { Logger } from '../observability/logger.ts';

/** What a shell reports for a process that ended by the signal: 128 and its number. */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 } as const;

export type StopSignal = keyof typeof EXIT_CODES;

export function exitCodeOf(signal: StopSignal): number {
  return EXIT_CODES[signal];
}

/**
 * By the signal itself, as if it had never been handled: `process.exit` would wait for file calls on their way to the
 * disk, and a disk that does not answer is a good reason to send a second signal. The kernel spares process 1 of a
 * container such an end, so that one is left with `process.exit`.
 */
export function endNow(signal: StopSignal): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(EXIT_CODES[signal]);
}

/** For work that ignored its signal and still holds something open: nothing waits for it any more. */
const LINGER_MS = 500;

/**
 * To be called when all that has to end has ended. The exit code stays what it is, unless a disk or a name server
 * keeps it back.
 *
 * @param signal by which the process ends in that case
 */
export function endSoon(signal: StopSignal = 'SIGTERM'): void {
  setTimeout(() => {
    if (isThreadPoolBusy()) endNow(signal);
    process.exit();
  }, LINGER_MS).unref();
}

/** Ends a process that its stop has not ended: what goes over the wire has its bounds, a call to the disk has none. */
export function endAnyway(afterMs: number, log: Logger): void {
  const overdue = setTimeout(() => {
    log.fatal({ waitingFor: process.getActiveResourcesInfo() }, 'the stop does not end; ending without it');
    endNow('SIGTERM');
  }, afterMs);
  // A process that has nothing left to do does not wait for this.
  overdue.unref();
}

/** What Node's thread pool does for others: `process.exit` waits for its threads. */
const POOL_REQUESTS: ReadonlySet<string> = new Set([
  'FSReqPromise',
  'FSReqCallback',
  'CloseReq',
  'GetAddrInfoReqWrap',
]);

function isThreadPoolBusy(): boolean {
  return process.getActiveResourcesInfo().some((kind) => POOL_REQUESTS.has(kind));
}
