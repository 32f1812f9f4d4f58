import type { Secret } from '../kit/secret.ts';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import type { Json, RejectCode, TaskEffect, TaskResult, TaskTiming } from '../protocol/messages.ts';

/**
 * Everything that must outlive a restart. The calls are synchronous on purpose: a frame is judged, recorded and
 * answered in one step, so no other frame can be judged on a state that is half written. An embedded database
 * with a synchronous driver fits the interface; a remote one would have to be fronted by a log.
 *
 * Records are values: to change one, put its successor.
 */
export interface Collection<T> {
  get(id: string): T | undefined;
  put(id: string, record: T): void;
  delete(id: string): void;
  /** In the order of first `put`. */
  values(): Iterable<T>;
}

export interface ManagerStore {
  readonly enrolmentTokens: Collection<EnrolmentTokenRecord>;
  readonly delegates: Collection<DelegateRecord>;
  readonly connectors: Collection<ConnectorRecord>;
  readonly tasks: Collection<TaskRecord>;
  readonly approvals: Collection<ApprovalRecord>;
  readonly signingKeys: Collection<SigningKeyRecord>;
  readonly seenTokens: Collection<SeenTokenRecord>;
}

export interface EnrolmentTokenRecord {
  readonly id: string;
  readonly label: string;
  /** Base64url. The value itself is shown once and never kept. */
  readonly sha256: string;
  readonly singleUse: boolean;
  /** RFC 3339, as every time in this file; null for no end. */
  readonly expiresAt: string | null;
  readonly createdAt: string;
  /** Thumbprint of the first key that was enrolled with it: its owner may enrol again after a crash. */
  readonly usedBy: string | null;
  readonly uses: number;
}

export interface DelegateRecord {
  readonly delegateId: string;
  readonly name: string;
  readonly instanceId: string;
  readonly version: string;
  readonly publicKey: Ed25519PublicJwk;
  /** RFC 7638. */
  readonly thumbprint: string;
  /** Accepted beside it, and in its place from the first connect with it. */
  readonly nextKey?: { readonly publicKey: Ed25519PublicJwk; readonly thumbprint: string };
  readonly enrolledAt: string;
  readonly lastSeenAt: string | null;
  readonly revokedAt: string | null;
}

export interface ConnectorRecord {
  readonly identifier: string;
  readonly selectors: readonly string[];
  /** As it was given, and as it goes to the delegate: references, never values. */
  readonly connector: Json;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface SigningKeyRecord {
  readonly kid: string;
  readonly publicKey: Ed25519PublicJwk;
  /** JSON of the private JWK; gone from a retired one. */
  readonly privateKey: Secret | undefined;
  /** When it joined the published keys and, once that is so, when it left them. Not there of the first ever made. */
  readonly added?: KeySetStatement | undefined;
  readonly retired?: KeySetStatement | undefined;
}

/** A set of task-signing keys that was published in the place of the one before. */
export interface KeySetStatement {
  readonly sequence: number;
  readonly at: string;
  /** Compact JWS by a key of the set before, as it goes to delegates (PROTOCOL.md, section 8.2). */
  readonly signed: string;
}

/** A connect token that was used; kept until it would not be accepted anyway. */
export interface SeenTokenRecord {
  readonly id: string;
  /** Seconds since the epoch, as in the token itself. */
  readonly expiresAtS: number;
}

/** Which delegate, in which version, held an attempt. */
export interface Holder {
  readonly delegateId: string;
  readonly name: string;
  readonly version: string;
}

/** The manager's own, or a delegate's, whose details are any JSON: newer ones may tell more. */
export type TaskError = Exclude<TaskResult, { outcome: 'succeeded' }>['error'];

type TaskOutcome = 'succeeded' | 'failed' | 'cancelled' | 'unknown';

/**
 * ```
 *           offer             accept             result, overran
 *  waiting ────────► offered ───────► running ───────────────────► ended
 *   ▲ ▲ │               │             │  ▲ │                       ▲  ▲
 *   │ │ └─ overdue, unplaceable, cancelled ────────────────────────┘  │
 *   │ └─ not taken ─────┘             │  │ │ lost, may have written   │
 *   └─ lost, only reads ──────────────┘  │ ▼                          │
 *                            named again orphaned ────────────────────┘
 *                                         result, forgotten, wait over
 * ```
 *
 * What became of an orphaned attempt only its holder can tell, so it is given to nobody else.
 */
export type TaskState =
  | { readonly at: 'waiting' }
  | { readonly at: 'offered'; readonly holder: Holder; readonly effect: TaskEffect }
  | {
      readonly at: 'running' | 'orphaned';
      readonly holder: Holder;
      /** As the holder declared it when the attempt was offered; an orphaned one `writes`. */
      readonly effect: TaskEffect;
      readonly acceptedAt: string;
    }
  | {
      readonly at: 'ended';
      readonly outcome: TaskOutcome;
      readonly output?: Json | undefined;
      readonly error?: TaskError | undefined;
      /** Who worked on it last; null if nobody did. */
      readonly holder: Holder | null;
      readonly timing: TaskTiming | null;
      readonly finishedAt: string;
    };

export interface TaskEvent {
  readonly at: string;
  readonly attempt: number;
  readonly what:
    | 'created'
    | 'offered'
    | 'accepted'
    | 'rejected'
    | 'accept-overdue'
    | 'not-held'
    | 'given-up'
    | 'lease-expired'
    | 'orphaned'
    | 'reclaimed'
    | 'overran'
    | 'never-returned'
    | 'cancel-requested'
    | 'ended';
  readonly holder: Holder | null;
  readonly detail: string | null;
}

export interface Refusal {
  readonly holder: Holder;
  readonly code: RejectCode;
  readonly message: string;
}

export interface TaskRecord {
  readonly taskId: string;
  readonly name: string;
  readonly version: number;
  readonly input: Json;
  readonly selectors: readonly string[];
  readonly timeoutMs: number;
  /** What it has in common with others, for the choice of a delegate alone; never sent. */
  readonly affinity: string | null;
  readonly createdAt: string;
  /** The last attempt made; 0 before the first. */
  readonly attempt: number;
  /** Begun attempts that were lost. */
  readonly losses: number;
  /** Offers that came to nothing before any work began. */
  readonly misses: number;
  /** Delegates that will not be asked again, and why. */
  readonly refusals: readonly Refusal[];
  readonly cancelReason: string | null;
  readonly progress: { readonly seq: number; readonly message: string; readonly at: string } | null;
  readonly history: readonly TaskEvent[];
  readonly state: TaskState;
}

type Decision = 'approved' | 'rejected' | 'pending';

/** One look at a ticket. */
export interface Look {
  readonly at: string;
  /** Null if the manager could not even start one. */
  readonly taskId: string | null;
  readonly decision: Decision | null;
  readonly reason: string | null;
  readonly error: TaskError | null;
  readonly delegate: { readonly id: string; readonly name: string; readonly version: string } | null;
}

export type ApprovalStatus = 'waiting' | 'approved' | 'rejected' | 'expired' | 'failed' | 'cancelled';

export interface ApprovalRecord {
  readonly approvalId: string;
  readonly connector: string;
  /** `ticket`, criteria and window, as they go to the delegate. */
  readonly question: { readonly [field: string]: Json };
  readonly retryIntervalMs: number;
  readonly timeoutMs: number;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly status: ApprovalStatus;
  readonly reason: string | null;
  /** Of the last look, or why there can be no other; null if the last look was taken. */
  readonly error: TaskError | null;
  /** Looks in a row that ended in an error which waiting does not cure. */
  readonly failuresInARow: number;
  /** In the past while a look is under way; null before the end of the first and if there will be no other. */
  readonly nextLookAt: string | null;
  readonly lookCount: number;
  /** The youngest looks, oldest first. */
  readonly looks: readonly Look[];
  readonly finishedAt: string | null;
}

export function createMemoryStore(): ManagerStore {
  return {
    enrolmentTokens: memoryCollection(),
    delegates: memoryCollection(),
    connectors: memoryCollection(),
    tasks: memoryCollection(),
    approvals: memoryCollection(),
    signingKeys: memoryCollection(),
    seenTokens: memoryCollection(),
  };
}

function memoryCollection<T>(): Collection<T> {
  const records = new Map<string, T>();
  return {
    get: (id) => records.get(id),
    put: (id, record) => {
      records.set(id, record);
    },
    delete: (id) => {
      records.delete(id);
    },
    values: () => records.values(),
  };
}
