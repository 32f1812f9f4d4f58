import { decodeProtectedHeader, errors, importJWK, jwtVerify, type JWTPayload } from 'jose';
import { z } from 'zod';
import type { Clock } from '../kit/time.ts';
import { CONNECT_TOKEN_LIFE_S, CONNECT_TOKEN_SKEW_S, CONNECT_TOKEN_TYPE } from '../protocol/limits.ts';
import { REVOKED } from '../protocol/refusal.ts';
import { publicKeyOf } from './key-rotation.ts';
import type { Collection, DelegateRecord, SeenTokenRecord } from './store.ts';

/** More characters are no connect token of this protocol. */
const MAX_TOKEN_CHARS = 8_192;

/** Bound on remembered token ids: connects of all delegates within two minutes. */
const MAX_REMEMBERED_TOKENS = 50_000;

type ConnectJudgement =
  | {
      readonly kind: 'admitted';
      readonly delegate: DelegateRecord;
      /** Thumbprint of the key that signed. */
      readonly keyId: string;
    }
  | {
      readonly kind: 'refused';
      readonly status: 401 | 403 | 503;
      readonly code: string;
      readonly message: string;
    };

export interface ConnectTokenRules {
  /** Any of these is the manager. */
  readonly audiences: readonly string[];
  readonly delegateByThumbprint: (thumbprint: string) => DelegateRecord | undefined;
  readonly seen: ReplayCache;
  readonly clock: Clock;
}

const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string(),
  iat: z.number(),
  exp: z.number(),
  jti: z.string().min(1).max(256),
});

/**
 * Checks a connect token (PROTOCOL.md, section 2.3), or one of its form for another purpose. Revocation is told only to
 * the holder of the key.
 */
export async function judgeConnectToken(
  token: string,
  rules: ConnectTokenRules,
  type: string = CONNECT_TOKEN_TYPE,
): Promise<ConnectJudgement> {
  const nowS = rules.clock.now() / 1000;
  const keyId = keyIdOf(token);
  const delegate = keyId === undefined ? undefined : rules.delegateByThumbprint(keyId);
  const publicKey = delegate && keyId !== undefined ? publicKeyOf(delegate, keyId) : undefined;
  if (delegate === undefined || keyId === undefined || publicKey === undefined)
    return unauthorized('the key in its header is not enrolled here');

  let payload: JWTPayload;
  try {
    const { kty, crv, x } = publicKey;
    const key = await importJWK({ kty, crv, x }, 'EdDSA');
    const verified = await jwtVerify(token, key, {
      algorithms: ['EdDSA'],
      typ: type,
      audience: [...rules.audiences],
      issuer: delegate.delegateId,
      subject: delegate.delegateId,
      clockTolerance: CONNECT_TOKEN_SKEW_S,
      currentDate: new Date(nowS * 1000),
    });
    payload = verified.payload;
  } catch (error) {
    return unauthorized(reasonOf(error));
  }

  const claims = claimsSchema.safeParse(payload);
  if (!claims.success) return unauthorized('iat, exp and jti are required');
  const { iat, exp, jti } = claims.data;
  if (exp - iat > CONNECT_TOKEN_LIFE_S) return unauthorized(`it may live ${CONNECT_TOKEN_LIFE_S} s at most`);
  if (iat > nowS + CONNECT_TOKEN_SKEW_S) return unauthorized('it was issued in the future; check the clocks');

  // After the signature: strangers must not be able to fill the cache.
  const remembered = rules.seen.remember(`${delegate.delegateId} ${jti}`, exp + CONNECT_TOKEN_SKEW_S, nowS);
  if (remembered === 'seen') return unauthorized('it was used before');
  if (remembered === 'full') {
    return { kind: 'refused', status: 503, code: 'busy', message: 'Too many connects at once; try again.' };
  }
  // Read again: it may have been revoked while the signature was checked.
  const current = rules.delegateByThumbprint(keyId);
  if (current === undefined) return unauthorized('its key was replaced by another meanwhile');
  if (current.revokedAt !== null) {
    return { kind: 'refused', status: 403, code: REVOKED, message: 'This delegate was revoked.' };
  }
  return { kind: 'admitted', delegate: current, keyId };
}

/** The key that a token names as its own; undefined if it names none. */
function keyIdOf(token: string): string | undefined {
  if (token.length > MAX_TOKEN_CHARS) return undefined;
  try {
    return decodeProtectedHeader(token).kid;
  } catch {
    // jose throws TypeError for whatever is not a JWS; an unreadable header names no key.
    return undefined;
  }
}

/** What the operator of the delegate must know: which claim, never its value. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired; check the clocks';
  if (error instanceof errors.JWTClaimValidationFailed) return `its ${error.claim} is not accepted here`;
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return 'its signature is not by the enrolled key';
  return 'it is not a valid token';
}

function unauthorized(reason: string): ConnectJudgement {
  return {
    kind: 'refused',
    status: 401,
    code: 'bad-connect-token',
    message: `The connect token was refused: ${reason}.`,
  };
}

/**
 * Token ids that were used, until they would have expired anyway. When it is full it refuses rather than
 * forgets: forgetting one early would let it be replayed. It is in the store, so that a restart forgets none.
 */
export class ReplayCache {
  readonly #tokens: Collection<SeenTokenRecord>;
  readonly #capacity: number;
  #size: number;

  constructor(tokens: Collection<SeenTokenRecord>, capacity: number = MAX_REMEMBERED_TOKENS) {
    this.#tokens = tokens;
    this.#capacity = capacity;
    this.#size = [...tokens.values()].length;
  }

  get size(): number {
    return this.#size;
  }

  /** Times in seconds since the epoch. */
  remember(id: string, expiresAtS: number, nowS: number): 'new' | 'seen' | 'full' {
    const known = this.#tokens.get(id);
    if (known !== undefined && known.expiresAtS > nowS) return 'seen';
    if (known !== undefined) this.#forget(id);
    if (this.#size >= this.#capacity) this.#forgetExpired(nowS);
    if (this.#size >= this.#capacity) return 'full';
    this.#tokens.put(id, { id, expiresAtS });
    this.#size += 1;
    return 'new';
  }

  #forgetExpired(nowS: number): void {
    const expired = [...this.#tokens.values()].filter(({ expiresAtS }) => expiresAtS <= nowS);
    for (const { id } of expired) this.#forget(id);
  }

  #forget(id: string): void {
    this.#tokens.delete(id);
    this.#size -= 1;
  }
}
