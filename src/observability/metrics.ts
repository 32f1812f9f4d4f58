/** Label values that every reader may rely on; what is none of them is counted as `OTHER`. */
export const OTHER = 'other';
/** Stands in the place of an error code where there was no error. */
export const SUCCEEDED = 'succeeded';

/** Why a session ended, as far as the close code tells. */
export const SESSION_ENDS = [
  'left',
  'manager-leaving',
  'connection-lost',
  'frame-too-large',
  'malformed-frame',
  'not-authenticated',
  'revoked',
  'no-common-version',
  'overdue',
  'superseded',
  'too-old',
  OTHER,
] as const;

export type SessionEnd = (typeof SESSION_ENDS)[number];

/** The end of one attempt. */
export interface TaskEnd {
  /** Name of the task, as its connector defines it. */
  readonly task: string;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'unknown' | 'discarded';
  /** Of the error; `SUCCEEDED` where there was none. */
  readonly code: string;
  /** Undefined where nobody saw it: the run before was interrupted, or the manager gave the attempt up. */
  readonly times: { readonly queueMs: number; readonly runMs: number } | undefined;
}

/**
 * What is counted and timed, one function for one business event, told at the place where it happens. What can be read
 * off at any time (tasks that run, results that wait) is no event: it is asked for when somebody looks.
 *
 * Durations are milliseconds. Nothing here throws, and nothing waits.
 */
export interface Metrics {
  sessionOpened(): void;
  sessionEnded(reason: SessionEnd): void;
  connectFailed(code: string): void;
  heartbeatAcknowledged(roundTripMs: number): void;
  taskEnded(end: TaskEnd): void;
  taskRejected(code: string): void;
  leaseLost(): void;
  /** @param waitedMs since the result was ready to be sent */
  resultAcknowledged(waitedMs: number): void;
  /** One group of records is safe on the disk. */
  journalWritten(tookMs: number): void;
  policyDenied(code: string): void;
  /** One exchange with a token server has ended. */
  tokenRequested(grant: TokenGrant, code: string): void;
  /** @param status of HTTP; undefined without an answer */
  instanceAnswered(tookMs: number, status: number | undefined): void;
  /** So many ended spans of traces will be seen by nobody. */
  spansLost(spans: number): void;
}

/** As RFC 6749 writes `grant_type`. */
export type TokenGrant = 'client_credentials' | 'refresh_token';

/** For commands that serve nobody but who types them. */
export const noMetrics: Metrics = {
  sessionOpened: () => {},
  sessionEnded: () => {},
  connectFailed: () => {},
  heartbeatAcknowledged: () => {},
  taskEnded: () => {},
  taskRejected: () => {},
  leaseLost: () => {},
  resultAcknowledged: () => {},
  journalWritten: () => {},
  policyDenied: () => {},
  tokenRequested: () => {},
  instanceAnswered: () => {},
  spansLost: () => {},
};
