/** WebSocket close codes of the protocol (PROTOCOL.md, section 3.6). */
export const CloseCode = {
  /** Delegate: it said goodbye. */
  Goodbye: 1000,
  /** Manager: this node is going away. */
  GoingAway: 1001,
  /** Either: the frame is larger than agreed. */
  FrameTooLarge: 1009,
  /** Manager: this node restarts. */
  ServiceRestart: 1012,
  /** Either: a frame that is malformed, or not allowed at this point. */
  MalformedFrame: 4400,
  /** Manager: the connect token is not, or no longer, accepted. */
  NotAuthenticated: 4401,
  /** Manager: this delegate was revoked. */
  Revoked: 4403,
  /** Manager: no common protocol version. */
  NoCommonVersion: 4406,
  /** Either: hello, welcome or heartbeat did not come in time. */
  Overdue: 4408,
  /** Manager: a newer session of the same instance took over. */
  Superseded: 4409,
  /** Manager: this delegate is too old to connect at all; the reason names the least version. */
  TooOld: 4426,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** What a delegate does after a close, or after an HTTP answer to the upgrade that means the same. */
export type AfterClose = 'reconnect' | 'new-token' | 'enrol-again' | 'slowest-pace' | 'stay-away';

export function afterClose(code: number): AfterClose {
  switch (code) {
    case CloseCode.NotAuthenticated:
      return 'new-token';
    case CloseCode.Revoked:
    case CloseCode.NoCommonVersion:
    case CloseCode.TooOld:
      return 'slowest-pace';
    case CloseCode.Superseded:
      return 'stay-away';
    default:
      // 1001, 1009, 1012, 4400, 4408, and anything unknown or abnormal (1006): the network is the usual cause.
      return 'reconnect';
  }
}
