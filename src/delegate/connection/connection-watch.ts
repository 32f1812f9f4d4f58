import { toTimestamp, type Clock } from '../../kit/time.ts';
import type { Metrics, SessionEnd } from '../../observability/metrics.ts';
import type { DelegateState } from '../../observability/status.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import type { ConnectFailure } from './connection-loop.ts';
import type { Session } from './session.ts';
import type { CloseInfo } from './transport.ts';

type Failure = NonNullable<DelegateState['manager']['lastFailure']>;

/** What is told of the connection to whoever watches: counted, and the last of it kept. */
export class ConnectionWatch {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  #lastFailure: Failure | undefined;
  #nextAttemptAt: number | undefined;

  constructor(options: { readonly metrics: Metrics; readonly clock: Clock }) {
    this.#metrics = options.metrics;
    this.#clock = options.clock;
  }

  get lastFailure(): Failure | undefined {
    return this.#lastFailure;
  }

  /** RFC 3339; undefined unless an attempt is waited for. */
  get nextAttemptAt(): string | undefined {
    return this.#nextAttemptAt === undefined ? undefined : toTimestamp(this.#nextAttemptAt);
  }

  attempting(): void {
    this.#nextAttemptAt = undefined;
  }

  failed(failure: ConnectFailure): void {
    this.#metrics.connectFailed(failure.code);
    this.#keep(failure);
  }

  waiting(ms: number): void {
    this.#nextAttemptAt = this.#clock.now() + ms;
  }

  opened(session: Pick<Session, 'ended' | 'hasLeft'>): void {
    this.#metrics.sessionOpened();
    void session.ended.then((end) => (session.hasLeft ? this.#left() : this.#ended(end)));
  }

  #left(): void {
    this.#metrics.sessionEnded('left');
  }

  #ended({ code, reason }: CloseInfo): void {
    const end = sessionEndOf(code);
    this.#metrics.sessionEnded(end);
    const why = reason === '' ? '' : `: ${reason}`;
    this.#keep({ code: `session-${end}`, message: `The session ended with ${code}${why}.`, hint: undefined });
  }

  #keep({ code, message, hint = null }: Omit<Failure, 'at'> | ConnectFailure): void {
    this.#lastFailure = { at: toTimestamp(this.#clock.now()), code, message, hint };
  }
}

/** No close frame came at all; `ws` has these for it, and RFC 6455, section 7.4.1. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/**
 * How a session ended that this side has not left. Codes are a peer's word, and any number between 1000 and 4999: what is
 * counted by them has few names. 1000, which is for this side to say, is none of them.
 */
export function sessionEndOf(code: number): SessionEnd {
  switch (code) {
    case CloseCode.GoingAway:
    case CloseCode.ServiceRestart:
      return 'manager-leaving';
    case NO_STATUS:
    case ABNORMAL:
      return 'connection-lost';
    case CloseCode.FrameTooLarge:
      return 'frame-too-large';
    case CloseCode.MalformedFrame:
      return 'malformed-frame';
    case CloseCode.NotAuthenticated:
      return 'not-authenticated';
    case CloseCode.Revoked:
      return 'revoked';
    case CloseCode.NoCommonVersion:
      return 'no-common-version';
    case CloseCode.Overdue:
      return 'overdue';
    case CloseCode.Superseded:
      return 'superseded';
    case CloseCode.TooOld:
      return 'too-old';
    default:
      return 'other';
  }
}
