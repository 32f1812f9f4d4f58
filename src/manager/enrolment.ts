import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { forgetOldest } from '../kit/bounds.ts';
import { Secret } from '../kit/secret.ts';
import { toTimestamp, type Clock } from '../kit/time.ts';
import type { Ed25519PublicJwk, EnrolRequest } from '../protocol/enrolment.ts';
import { REVOKED } from '../protocol/refusal.ts';
import { managerError } from './errors.ts';
import { publicKeyOf } from './key-rotation.ts';
import type { DelegateRecord, EnrolmentTokenRecord, ManagerStore } from './store.ts';

const TOKEN_BYTES = 32;
const MAX_ENROLMENT_TOKENS = 1_000;
const MAX_DELEGATES = 10_000;

/** Wrong tokens from one address within the window before it has to wait for the window's end. */
const MAX_WRONG_TOKENS = 20;
const WRONG_TOKEN_WINDOW_MS = 60_000;
/** Addresses remembered at once; the oldest goes first. */
const MAX_ADDRESSES = 10_000;

export interface NewEnrolmentToken {
  /** What people call it; not checked against anything. */
  label?: string | undefined;
  /** Default: no end. */
  expiresInMs?: number | undefined;
  /** Whether it enrols one key alone. Default true. */
  singleUse?: boolean | undefined;
}

export interface IssuedEnrolmentToken {
  readonly record: EnrolmentTokenRecord;
  /** Not stored: this is the only time that it can be read. */
  readonly value: Secret;
}

export interface EnrolRefusal {
  readonly kind: 'refused';
  readonly status: 401 | 403 | 409 | 429 | 503;
  readonly code: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

type EnrolJudgement = { readonly kind: 'enrolled'; readonly delegate: DelegateRecord } | EnrolRefusal;

/** Who may become a delegate. */
export class Enrolment {
  readonly #store: ManagerStore;
  readonly #clock: Clock;
  readonly #wrong = new Map<string, { count: number; endsAt: number }>();
  /** Delegate id by key thumbprint, keys that were replaced included; rebuilt from the store at start. */
  readonly #byThumbprint = new Map<string, string>();

  constructor(store: ManagerStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    for (const { thumbprint, nextKey, delegateId } of store.delegates.values()) {
      this.#byThumbprint.set(thumbprint, delegateId);
      if (nextKey !== undefined) this.#byThumbprint.set(nextKey.thumbprint, delegateId);
    }
  }

  issue(wanted: NewEnrolmentToken): IssuedEnrolmentToken {
    if ([...this.#store.enrolmentTokens.values()].length >= MAX_ENROLMENT_TOKENS) {
      throw managerError('too-many-enrolment-tokens', `There are ${MAX_ENROLMENT_TOKENS} tokens already.`);
    }
    const value = randomBytes(TOKEN_BYTES).toString('base64url');
    const nowMs = this.#clock.now();
    const record: EnrolmentTokenRecord = {
      id: randomUUID(),
      label: wanted.label ?? '',
      sha256: sha256(value).toString('base64url'),
      singleUse: wanted.singleUse ?? true,
      expiresAt: wanted.expiresInMs === undefined ? null : toTimestamp(nowMs + wanted.expiresInMs),
      createdAt: toTimestamp(nowMs),
      usedBy: null,
      uses: 0,
    };
    this.#store.enrolmentTokens.put(record.id, record);
    return { record, value: new Secret(value) };
  }

  delegateByThumbprint(thumbprint: string): DelegateRecord | undefined {
    const delegateId = this.#byThumbprint.get(thumbprint);
    const delegate = delegateId === undefined ? undefined : this.#store.delegates.get(delegateId);
    if (delegate !== undefined && publicKeyOf(delegate, thumbprint) !== undefined) return delegate;
    // Replaced: it is nobody's any more.
    this.#byThumbprint.delete(thumbprint);
    return undefined;
  }

  /**
   * Accepts another key of a delegate from now on, beside the one that it has, until it connects with the other. A key
   * that waited for the same is forgotten: whoever holds the present key decides.
   *
   * @returns false if the key is another delegate's
   */
  awaitKey(delegateId: string, publicKey: Ed25519PublicJwk, thumbprint: string): boolean {
    const delegate = this.#store.delegates.get(delegateId);
    const holder = this.delegateByThumbprint(thumbprint);
    if (delegate === undefined || (holder !== undefined && holder.delegateId !== delegateId)) return false;
    if (delegate.thumbprint === thumbprint) return true;
    const { kty, crv, x } = publicKey;
    this.#store.delegates.put(delegateId, {
      ...delegate,
      nextKey: { publicKey: { kty, crv, x }, thumbprint },
    });
    this.#byThumbprint.set(thumbprint, delegateId);
    return true;
  }

  /**
   * Whether an address must wait, asked before anything else is read.
   *
   * @param address the peer, as the socket shows it
   */
  throttled(address: string): EnrolRefusal | undefined {
    const wrong = this.#wrong.get(address);
    if (wrong === undefined) return undefined;
    const leftMs = wrong.endsAt - this.#clock.monotonic();
    if (leftMs <= 0) {
      this.#wrong.delete(address);
      return undefined;
    }
    if (wrong.count < MAX_WRONG_TOKENS) return undefined;
    return {
      kind: 'refused',
      status: 429,
      code: 'too-many-wrong-tokens',
      message: 'Too many wrong enrolment tokens came from this address.',
      retryAfterMs: leftMs,
    };
  }

  /** The token among the stored ones, whoever presents it. Counts a wrong one against the address. */
  recognise(token: string | undefined, address: string): EnrolmentTokenRecord | undefined {
    const digest = sha256(token ?? '');
    let found: EnrolmentTokenRecord | undefined;
    // Every token is compared, in constant time, so that the time says nothing about any of them.
    for (const record of this.#store.enrolmentTokens.values()) {
      if (timingSafeEqual(digest, Buffer.from(record.sha256, 'base64url'))) found = record;
    }
    if (found !== undefined && !this.#hasExpired(found)) return found;
    this.#countWrong(address);
    return undefined;
  }

  /** The same key gets the same delegate again, so a delegate may repeat a request whose answer it lost. */
  async enrol(token: EnrolmentTokenRecord, request: EnrolRequest): Promise<EnrolJudgement> {
    const { kty, crv, x } = request.publicKey;
    const thumbprint = await calculateJwkThumbprint({ kty, crv, x });
    // Read again: another request may have used the token while the thumbprint was being made.
    const current = this.#store.enrolmentTokens.get(token.id);
    const spent =
      current === undefined || (current.singleUse && (current.usedBy ?? thumbprint) !== thumbprint);
    if (spent) return refused(401, 'bad-enrolment-token', WRONG_TOKEN);

    const known = this.delegateByThumbprint(thumbprint);
    if (known !== undefined && known.revokedAt !== null)
      return refused(403, REVOKED, 'This delegate was revoked.');
    const delegates = [...this.#store.delegates.values()];
    const holder = delegates.find(({ instanceId }) => instanceId === request.instanceId);
    if (holder !== undefined && holder.delegateId !== known?.delegateId) {
      return refused(409, 'instance-has-another-key', 'This instanceId was enrolled with another key.');
    }
    if (known === undefined && delegates.length >= MAX_DELEGATES) {
      return refused(503, 'too-many-delegates', `There are ${MAX_DELEGATES} delegates already.`);
    }

    const now = toTimestamp(this.#clock.now());
    const delegate: DelegateRecord = {
      delegateId: known?.delegateId ?? `dlg-${randomUUID()}`,
      name: request.name,
      instanceId: request.instanceId,
      version: request.version,
      publicKey: { kty, crv, x },
      thumbprint,
      enrolledAt: known?.enrolledAt ?? now,
      lastSeenAt: known?.lastSeenAt ?? null,
      revokedAt: null,
    };
    this.#store.delegates.put(delegate.delegateId, delegate);
    this.#byThumbprint.set(thumbprint, delegate.delegateId);
    this.#store.enrolmentTokens.put(current.id, {
      ...current,
      usedBy: current.usedBy ?? thumbprint,
      uses: current.uses + 1,
    });
    return { kind: 'enrolled', delegate };
  }

  /** @returns false if there is no such delegate; revoking twice is one revocation. */
  revoke(delegateId: string): boolean {
    const delegate = this.#store.delegates.get(delegateId);
    if (delegate === undefined) return false;
    const revokedAt = delegate.revokedAt ?? toTimestamp(this.#clock.now());
    this.#store.delegates.put(delegateId, { ...delegate, revokedAt });
    return true;
  }

  #hasExpired({ expiresAt }: EnrolmentTokenRecord): boolean {
    return expiresAt !== null && Date.parse(expiresAt) <= this.#clock.now();
  }

  #countWrong(address: string): void {
    const now = this.#clock.monotonic();
    const wrong = this.#wrong.get(address) ?? { count: 0, endsAt: now + WRONG_TOKEN_WINDOW_MS };
    this.#wrong.set(address, { ...wrong, count: wrong.count + 1 });
    forgetOldest(this.#wrong, MAX_ADDRESSES);
  }
}

/** One text for unknown, expired and spent: a stranger learns nothing from the difference. */
export const WRONG_TOKEN = 'The enrolment token is wrong, expired or spent.';

/** Compares digests, so that neither length nor content of the expected value shows in the time taken. */
export function secretEquals(given: string, expected: Secret): boolean {
  return timingSafeEqual(sha256(given), sha256(expected.reveal()));
}

function refused(status: 401 | 403 | 409 | 503, code: string, message: string): EnrolRefusal {
  return { kind: 'refused', status, code, message };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
