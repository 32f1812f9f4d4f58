import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import type { Ed25519PublicJwk } from '../protocol/enrolment.ts';
import { keyProofClaimsSchema } from '../protocol/key-rotation.ts';
import { CONNECT_TOKEN_LIFE_S, CONNECT_TOKEN_SKEW_S, KEY_PROOF_TYPE } from '../protocol/limits.ts';
import type { ConnectTokenRules } from './connect-token.ts';
import type { DelegateRecord } from './store.ts';

/** What stands in a proof, and must stand there for the change that is asked for. */
export interface WantedChange {
  readonly delegateId: string;
  /** RFC 7638 thumbprints. */
  readonly replaces: string;
  readonly keyId: string;
  readonly publicKey: Ed25519PublicJwk;
}

/**
 * Why the new key is not taken; undefined if whoever asks holds it, and means this change (PROTOCOL.md, section 8.1).
 * Without the proof a delegate could put another's public key in the place of its own.
 */
export async function proofFault(
  proof: string,
  { delegateId, replaces, keyId, publicKey }: WantedChange,
  { audiences, clock }: Pick<ConnectTokenRules, 'audiences' | 'clock'>,
): Promise<string | undefined> {
  const { kty, crv, x } = publicKey;
  const key = await importJWK({ kty, crv, x }, 'EdDSA');
  try {
    const { payload } = await jwtVerify(proof, key, {
      algorithms: ['EdDSA'],
      typ: KEY_PROOF_TYPE,
      audience: [...audiences],
      clockTolerance: CONNECT_TOKEN_SKEW_S,
      currentDate: new Date(clock.now()),
    });
    const claims = keyProofClaimsSchema.safeParse(payload);
    if (!claims.success) return 'it lacks claims';
    if (claims.data.exp - claims.data.iat > CONNECT_TOKEN_LIFE_S) return 'it lives too long';
    if (claims.data.delegateId !== delegateId) return 'it is for another delegate';
    if (claims.data.replaces !== replaces) return 'it is for the place of another key';
    return decodeProtectedHeader(proof).kid === keyId ? undefined : 'it names another key';
  } catch {
    // jose throws for each way in which it is not a JWT by that key; which one, the sender knows.
    return 'it is not a valid token by the new key';
  }
}

/**
 * The delegate as it is once it has connected with this key: a key that was to come is the key, and the one before it
 * is nothing any more.
 */
export function withKeyInUse(delegate: DelegateRecord, keyId: string): DelegateRecord {
  const { nextKey, ...record } = delegate;
  if (nextKey?.thumbprint !== keyId) return delegate;
  return { ...record, publicKey: nextKey.publicKey, thumbprint: nextKey.thumbprint };
}

/** The public key of this thumbprint, if it is one of the delegate's. */
export function publicKeyOf(delegate: DelegateRecord, keyId: string): Ed25519PublicJwk | undefined {
  if (delegate.thumbprint === keyId) return delegate.publicKey;
  return delegate.nextKey?.thumbprint === keyId ? delegate.nextKey.publicKey : undefined;
}
