/** Every number of the wire (PROTOCOL.md names each). Units are in the names. */

/** The sub-protocol of the WebSocket upgrade, and so the protocol's version. */
export const SUBPROTOCOL = 'delegate.v1';

export const ENROLL_PATH = '/delegate/v1/enroll';
export const CONNECT_PATH = '/delegate/v1/connect';
export const ROTATE_KEY_PATH = '/delegate/v1/rotate-key';

/** No frame is larger; `welcome.maxFrameBytes` may only lower it. */
export const MAX_FRAME_BYTES = 1_048_576;
/** The least that `welcome.maxFrameBytes` may say: below it an ordinary error would not fit. */
export const MIN_FRAME_BYTES = 4_096;
/** Brackets inside brackets. Deeper JSON is malformed: every recursive reader of it stays within its stack. */
export const MAX_JSON_DEPTH = 64;

export const HELLO_WITHIN_MS = 5_000;
export const WELCOME_WITHIN_MS = 10_000;
/** Neither accept nor reject after this: the manager takes the assign as not received. */
export const ACCEPT_WITHIN_MS = 5_000;

/** `leaseMs` is at least this many heartbeats. */
export const MIN_HEARTBEATS_PER_LEASE = 3;
/** No `heartbeat.ack` for this many heartbeats: the connection is dead. */
export const DEAD_AFTER_HEARTBEATS = 2;

export const MAX_PROGRESS_PER_SECOND = 5;

export const CONNECT_TOKEN_TYPE = 'delegate+jwt';
/** Not a connect token: one of the two must not do for the other. */
export const ROTATE_KEY_TOKEN_TYPE = 'delegate-rotate+jwt';
export const KEY_PROOF_TYPE = 'delegate-key-proof+jwt';
export const TASK_SIGNING_KEYS_TYPE = 'task-signing-keys+jwt';
export const CONNECT_TOKEN_LIFE_S = 60;
export const CONNECT_TOKEN_SKEW_S = 60;
/** Two clocks, neither perfect: `iat` and `exp` of a task's signature are compared with this tolerance. */
export const TASK_SIGNATURE_SKEW_S = 60;
/** `exp` − `iat` of a task's signature: a delegate remembers each that it has taken for as long as it holds. */
export const MAX_TASK_SIGNATURE_LIFE_S = 86_400;

export const RECONNECT_BASE_MS = 1_000;
export const RECONNECT_CAP_MS = 60_000;
/** The back-off starts again only after a session was healthy for this long. */
export const HEALTHY_AFTER_MS = 60_000;
/** For a delegate that is revoked, too old or without a common protocol version. */
export const SLOWEST_PACE_MS = 300_000;
export const SLOWEST_PACE_SPREAD = 0.2;
/** No wait between two attempts is longer, whatever a `Retry-After` asks. */
export const MAX_WAIT_MS = 300_000;

export const MAX_CAPACITY = 1_000;
/** Tasks that one `running`, `unacknowledged` or `lost` list may name. */
export const MAX_LISTED_TASKS = 4_000;
export const MAX_TAGS = 64;
/** A longer `timeoutMs` counts as this: the longest timer of a runtime with 32-bit timers, 24.8 days. */
export const MAX_TIMEOUT_MS = 2_147_483_647;
/** Longest wait that a delegate spreads a reconnect over, whatever a `drain` says. */
export const MAX_RECONNECT_AFTER_MS = 300_000;
/** A WebSocket close reason holds at most this many bytes (RFC 6455, section 5.5). */
export const MAX_CLOSE_REASON_BYTES = 123;
